// SPDX-License-Identifier: Apache-2.0
// The probe boots the host's own kernel without a root file system: it gets through the BIOS, real
// mode, long mode and all drivers, then panics, which is the wanted end.
#include "core/accelerator.h"

#include "core/error.h"
#include "core/files.h"
#include "core/host_cpu.h"
#include "core/json.h"
#include "core/process.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/utsname.h>
#include <unistd.h>

namespace kiln
{
namespace fs = std::filesystem;
namespace
{

using std::chrono::milliseconds;

constexpr std::chrono::seconds kvm_limit{20};
constexpr std::chrono::seconds tcg_limit{120};
constexpr const char* cache_name = "accelerator.json";
constexpr std::string_view qemu = "qemu-system-x86_64";
constexpr std::string_view last_words = "Kernel panic - not syncing: VFS";

// All that the verdict depends on. A reboot, a new kernel, QEMU or CPU makes the cached one void.
std::string cache_key(const fs::path& kernel, const std::stop_token& stop)
{
    utsname host{};
    ::uname(&host);
    const std::string version = run_or_throw({.argv = {std::string(qemu), "--version"}}, "asking QEMU's version", stop);
    return fmt::format("{}{} {}\n{}{}\n{}", read_file("/proc/sys/kernel/random/boot_id"), host.release, host.version,
                       version, host_cpu(), kernel.native());
}

struct Boot {
    bool reached = false; // the panic
    milliseconds took{0};
    std::string end{}; // how QEMU ended, and its last words
};

Boot boot_kernel(const fs::path& kernel, Accelerator accelerator, const std::stop_token& stop)
{
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
                                               std::string(name_of(accelerator)),
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
                                      .timeout = accelerator == Accelerator::kvm ? kvm_limit : tcg_limit,
                                      .output_limit = std::size_t{1} << 20U},
                                     stop);
    const std::string words = result.errors.empty()
                                  ? tail_in_one_line(result.output, 1)
                                  : printable(result.errors.substr(0, result.errors.find('\n')), false);
    return {.reached = result.output.find(last_words) != std::string::npos,
            .took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - started),
            .end = fmt::format("{}{}{}", result.describe(), words.empty() ? "" : ": ", words)};
}

AcceleratorVerdict probe(const fs::path& kernel, const std::stop_token& stop)
{
    AcceleratorVerdict verdict;
    if (::access("/dev/kvm", R_OK | W_OK) == 0) {
        const Boot boot = boot_kernel(kernel, Accelerator::kvm, stop);
        if (boot.reached) {
            return {.accelerator = Accelerator::kvm, .reason = "a kernel booted under KVM", .boot = boot.took};
        }
        verdict.reason = fmt::format("/dev/kvm opens, but a kernel does not boot under it: QEMU {}", boot.end);
    } else {
        verdict.reason = fs::exists("/dev/kvm")
                             ? "/dev/kvm is there, but this user may not open it (join the group kvm)"
                             : "this host has no /dev/kvm";
    }
    verdict.boot = boot_kernel(kernel, Accelerator::tcg, stop).took;
    return verdict;
}

// Any key's without one.
std::optional<AcceleratorVerdict> load_cached(const fs::path& file, const std::optional<std::string>& key)
{
    try {
        const Json cached = parse_json(read_file(file), file.native());
        const auto accelerator = parse_accelerator(string_member(cached, "accelerator", file.native()));
        if (!accelerator || (key && string_member(cached, "key", file.native()) != *key)) {
            return std::nullopt;
        }
        return AcceleratorVerdict{
            .accelerator = *accelerator,
            .reason = string_member(cached, "reason", file.native()),
            .cached = true,
            .boot = milliseconds(integer_member(cached, "boot_ms", file.native())),
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
                                  {"boot_ms", verdict.boot.count()}}
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

std::chrono::seconds host_patience(const Paths& paths, Accelerator accelerator, std::chrono::seconds usual)
{
    constexpr milliseconds usual_kvm{1000};
    constexpr milliseconds usual_tcg{1600};
    const auto cached = load_cached(paths.cache / cache_name, std::nullopt);
    if (!cached || cached->accelerator != accelerator) {
        return usual;
    }
    const milliseconds usual_boot = accelerator == Accelerator::kvm ? usual_kvm : usual_tcg;
    const milliseconds boot = std::clamp(cached->boot, usual_boot, 10 * usual_boot);
    return std::chrono::ceil<std::chrono::seconds>(usual * boot.count() / static_cast<double>(usual_boot.count()));
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
    const fs::path file = paths.cache / cache_name;
    if (!probe_anew) {
        if (const auto cached = load_cached(file, key)) {
            return *cached;
        }
    }
    AcceleratorVerdict verdict = probe(*kernel, stop);
    store(file, key, verdict);
    return verdict;
}

} // namespace kiln
