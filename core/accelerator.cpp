// SPDX-License-Identifier: Apache-2.0
// The probe boots the host's own kernel without a root file system: it gets through the BIOS, real
// mode, long mode and all drivers, then panics, which is the wanted end.
#include "core/accelerator.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/process.h"
#include "core/text.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sys/utsname.h>
#include <unistd.h>

namespace kiln
{
namespace fs = std::filesystem;
namespace
{

constexpr std::chrono::seconds probe_limit{20};
constexpr std::string_view qemu = "qemu-system-x86_64";
constexpr std::string_view last_words = "Kernel panic - not syncing: VFS";

std::string first_cpu_model()
{
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuinfo, line);) {
        if (line.starts_with("model name")) {
            return line;
        }
    }
    return "unknown";
}

// All that the verdict depends on. A reboot, a new kernel, QEMU or CPU makes the cached one void.
std::string cache_key(const fs::path& kernel, const std::stop_token& stop)
{
    utsname host{};
    ::uname(&host);
    const std::string version = run_or_throw({.argv = {std::string(qemu), "--version"}}, "asking QEMU's version", stop);
    return fmt::format("{}{} {}\n{}{}\n{}", read_file("/proc/sys/kernel/random/boot_id"), host.release, host.version,
                       version, first_cpu_model(), kernel.native());
}

AcceleratorVerdict probe_kvm(const fs::path& kernel, const std::stop_token& stop)
{
    if (::access("/dev/kvm", R_OK | W_OK) != 0) {
        const bool exists = fs::exists("/dev/kvm");
        return {.accelerator = Accelerator::tcg,
                .reason = exists ? "/dev/kvm is there, but this user may not open it (join the group kvm)"
                                 : "this host has no /dev/kvm"};
    }
    const auto started = std::chrono::steady_clock::now();
    const ProcessResult result = run({.argv = {std::string(qemu),
                                               "-nodefaults",
                                               "-no-user-config",
                                               "-display",
                                               "none",
                                               "-no-reboot",
                                               "-machine",
                                               "q35",
                                               "-accel",
                                               "kvm",
                                               "-cpu",
                                               "max",
                                               "-m",
                                               "512",
                                               "-serial",
                                               "stdio",
                                               "-kernel",
                                               kernel.native(),
                                               "-append",
                                               "console=ttyS0 panic=-1"},
                                      .timeout = probe_limit,
                                      .output_limit = std::size_t{1} << 20U},
                                     stop);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started);
    if (result.output.find(last_words) != std::string::npos) {
        return {.accelerator = Accelerator::kvm, .reason = "a kernel booted under KVM", .took = took};
    }
    const std::string words = result.errors.empty()
                                  ? tail_in_one_line(result.output, 1)
                                  : printable(result.errors.substr(0, result.errors.find('\n')), false);
    return {.accelerator = Accelerator::tcg,
            .reason = fmt::format("/dev/kvm opens, but a kernel does not boot under it: QEMU {}{}{}", result.describe(),
                                  words.empty() ? "" : ": ", words),
            .took = took};
}

std::optional<AcceleratorVerdict> load_cached(const fs::path& file, const std::string& key)
{
    try {
        const Json cached = parse_json(read_file(file), file.native());
        const auto accelerator = parse_accelerator(string_member(cached, "accelerator", file.native()));
        if (!accelerator || string_member(cached, "key", file.native()) != key) {
            return std::nullopt;
        }
        return AcceleratorVerdict{
            .accelerator = *accelerator,
            .reason = string_member(cached, "reason", file.native()),
            .cached = true,
            .took = std::chrono::milliseconds(integer_member(cached, "took_ms", file.native())),
        };
    } catch (const Error&) {
        return std::nullopt; // a cache that can't be read is a cache that isn't there
    }
}

void store(const fs::path& file, const std::string& key, const AcceleratorVerdict& verdict)
{
    make_directories(file.parent_path(), 0700);
    write_file_durably(file, Json{{"key", key},
                                  {"accelerator", name_of(verdict.accelerator)},
                                  {"reason", verdict.reason},
                                  {"took_ms", verdict.took.count()}}
                                 .dump());
}

} // namespace

std::string_view name_of(Accelerator accelerator) noexcept
{
    return accelerator == Accelerator::kvm ? "kvm" : "tcg";
}

std::optional<Accelerator> parse_accelerator(std::string_view text)
{
    if (text == "kvm") {
        return Accelerator::kvm;
    }
    return text == "tcg" ? std::optional(Accelerator::tcg) : std::nullopt;
}

std::optional<fs::path> find_kernel()
{
    std::optional<fs::path> best;
    std::optional<std::string> best_name;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator("/boot", ignored)) {
        const std::string name = entry.path().filename();
        if (!name.starts_with("vmlinuz-") || ::access(entry.path().c_str(), R_OK) != 0) {
            continue;
        }
        if (!best_name || ::strverscmp(name.c_str(), best_name->c_str()) > 0) {
            best = entry.path();
            best_name = name;
        }
    }
    return best;
}

AcceleratorVerdict find_accelerator(const Paths& paths, const std::stop_token& stop, bool probe_anew)
{
    require_program(qemu, "qemu-system-x86");
    if (const char* wish = std::getenv("KILN_ACCELERATOR"); wish != nullptr && *wish != '\0') {
        const auto accelerator = parse_accelerator(wish);
        if (!accelerator) {
            throw Error(ErrorKind::usage,
                        fmt::format("KILN_ACCELERATOR is \"{}\", which is no accelerator", printable(wish, false)),
                        "set it to kvm or tcg, or unset it to have the host probed");
        }
        return {.accelerator = *accelerator, .reason = "KILN_ACCELERATOR says so", .overridden = true};
    }
    const auto kernel = find_kernel();
    if (!kernel) {
        throw Error(ErrorKind::missing_tool, "there is no kernel in /boot that this user can read",
                    "install one: apt-get install linux-image-cloud-amd64 (or make /boot/vmlinuz-* readable)");
    }
    const std::string key = cache_key(*kernel, stop);
    const fs::path file = paths.cache / "accelerator.json";
    if (!probe_anew) {
        if (const auto cached = load_cached(file, key)) {
            return *cached;
        }
    }
    AcceleratorVerdict verdict = probe_kvm(*kernel, stop);
    store(file, key, verdict);
    return verdict;
}

} // namespace kiln
