// SPDX-License-Identifier: Apache-2.0
// kiln doctor: what this host can do, and what to install or change.
#include "builder/warm_template.h"
#include "cli/context.h"
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "core/timestamp.h"
#include "launcher/vpc/vpc_link.h"

#include <fmt/format.h>

#include <array>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

enum class Verdict { ok, warning, missing };

struct Finding {
    Verdict verdict = Verdict::ok;
    std::string subject;
    std::string detail;
    std::string remedy{}; // empty when ok
};

struct Program {
    const char* name;
    const char* package;
    const char* purpose;
};
constexpr std::array programs{
    Program{"qemu-system-x86_64", "qemu-system-x86", "launch instances"},
    Program{"qemu-img", "qemu-utils", "write disk layers"},
    Program{"qemu-storage-daemon", "qemu-system-common", "seal snapshots"},
    Program{"mmdebstrap", "mmdebstrap", "unpack Debian packages"},
    Program{"mke2fs", "e2fsprogs", "make file systems"},
    Program{"supermin", "supermin", "make libguestfs's appliance"},
    Program{"ssh-keygen", "openssh-client", "make launch keys"},
};

Finding look_for(const Program& program)
{
    const auto path = find_program(program.name);
    return path ? Finding{Verdict::ok, program.name, path->native()}
                : Finding{Verdict::missing, program.name, fmt::format("not installed; needed to {}", program.purpose),
                          fmt::format("apt-get install {}", program.package)};
}

Finding look_at_firmware()
{
    const std::string file = "/usr/share/OVMF/OVMF_CODE_4M.fd";
    return std::filesystem::exists(file)
               ? Finding{Verdict::ok, "UEFI firmware", file}
               : Finding{Verdict::warning, "UEFI firmware", "not installed; needed to launch AMIs of boot mode uefi",
                         "apt-get install ovmf"};
}

Finding look_at_kernel()
{
    const auto kernel = find_kernel();
    return kernel ? Finding{Verdict::ok, "kernel for libguestfs", kernel->native()}
                  : Finding{Verdict::missing, "kernel for libguestfs", "none in /boot that this user can read",
                            "apt-get install linux-image-cloud-amd64, or make /boot/vmlinuz-* readable"};
}

Finding look_at_accelerator(const Context& context)
{
    try {
        const AcceleratorVerdict verdict = find_accelerator(context.paths, context.stop, true);
        std::string detail = fmt::format("{}: {}", name_of(verdict.accelerator), verdict.reason);
        if (!verdict.overridden) {
            detail += fmt::format("; a kernel boots in {:.1f} s", static_cast<double>(verdict.boot.count()) / 1000);
        }
        return verdict.accelerator == Accelerator::kvm
                   ? Finding{Verdict::ok, "accelerator", detail}
                   : Finding{Verdict::warning, "accelerator", detail,
                             "guests are emulated: all works, some ten times slower"};
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        return {Verdict::missing, "accelerator", error.what(), error.hint()};
    }
}

Finding look_at_warm_appliance(const Context& context)
{
    constexpr const char* subject = "warm appliance";
    try {
        const auto inputs = builder::find_template_inputs(context.accelerator(), false, context.stop);
        const auto saved = builder::find_template(context.paths.cache / "appliance", inputs);
        return {Verdict::ok, subject,
                saved ? fmt::format("ready; making it took {:.1f} s", static_cast<double>(saved->took.count()) / 1000)
                      : "none for this host yet; the next build makes it"};
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        return {Verdict::warning, subject, error.what(), "builds launch libguestfs the stock way, which is slower"};
    }
}

Finding look_at_vpc()
{
    const auto reason = launcher::why_no_vpc();
    return reason ? Finding{Verdict::warning, "networks (VPC)", *reason,
                            "--network vpc is refused; --network user and none work"}
                  : Finding{Verdict::ok, "networks (VPC)", "user namespaces, taps, nftables and dnsmasq work"};
}

Finding look_at_memory()
{
    struct sysinfo info {
    };
    ::sysinfo(&info);
    const ByteSize total(static_cast<std::uint64_t>(info.totalram) * info.mem_unit);
    return total < gibibytes(3)
               ? Finding{Verdict::warning, "memory", to_string(total), "builds and a t3.small want 3 GiB"}
               : Finding{Verdict::ok, "memory", to_string(total)};
}

Finding look_at_space(const std::string& subject, const std::filesystem::path& folder)
{
    struct statvfs status {
    };
    if (::statvfs(folder.c_str(), &status) != 0) {
        return {Verdict::missing, subject, system_error(errno, "looking at " + folder.native()).what(),
                "set KILN_HOME or TMPDIR to another folder"};
    }
    const ByteSize free(static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize);
    const std::string detail = fmt::format("{} free in {}", to_string(free), folder.native());
    return free < gibibytes(3) ? Finding{Verdict::warning, subject, detail, "a build wants 3 GiB"}
                               : Finding{Verdict::ok, subject, detail};
}

std::vector<Finding> examine(const Context& context)
{
    std::vector<Finding> findings;
    findings.reserve(programs.size() + 7);
    for (const Program& program : programs) {
        findings.push_back(look_for(program));
    }
    findings.push_back(look_at_firmware());
    findings.push_back(look_at_kernel());
    findings.push_back(look_at_accelerator(context));
    findings.push_back(look_at_warm_appliance(context));
    findings.push_back(look_at_vpc());
    findings.push_back(look_at_memory());
    findings.push_back(look_at_space("images and builds", context.paths.home));
    findings.push_back(look_at_space("unpacking packages", std::filesystem::temp_directory_path()));
    return findings;
}

std::string_view name_of(Verdict verdict)
{
    constexpr std::array names{"ok", "warning", "missing"};
    return names.at(static_cast<std::size_t>(verdict));
}

void doctor(Context& context)
{
    make_directories(context.paths.home, 0700);
    Json json = Json::array();
    std::string text;
    bool usable = true;
    for (const Finding& finding : examine(context)) {
        json.push_back({{"verdict", name_of(finding.verdict)},
                        {"subject", finding.subject},
                        {"detail", finding.detail},
                        {"remedy", finding.remedy.empty() ? Json() : Json(finding.remedy)}});
        text += fmt::format("{:<8} {:<22} {}\n", name_of(finding.verdict), finding.subject, finding.detail);
        if (!finding.remedy.empty()) {
            text += fmt::format("{:<31} -> {}\n", "", finding.remedy);
        }
        usable = usable && finding.verdict != Verdict::missing;
    }
    text += usable ? "This host can build and launch.\n" : "Something is missing; see the lines with ->.\n";
    print_result(context, {{"usable", usable}, {"findings", json}}, text);
    if (!usable) {
        context.exit_status = exit_code(ErrorKind::missing_tool);
    }
}

} // namespace

void add_doctor(CLI::App& app, Context& context)
{
    CLI::App* command = app.add_subcommand("doctor", "What this host can do, and what to install or change");
    on_run(*command, context, [&context] { doctor(context); });
}

} // namespace kiln::cli
