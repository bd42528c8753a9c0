// SPDX-License-Identifier: Apache-2.0
// Services and the system's configuration. Files that more than one step may write a part of are numbered, so that
// a later step adds to an earlier one.
#include "builder/step_kinds.h"
#include "builder/system_files.h"
#include "core/error.h"

#include <fmt/format.h>

namespace kiln::builder
{
namespace
{

// FOLDER/PREFIX00.conf, or the next one that is free.
void add_numbered(Appliance& appliance, const std::string& folder, const std::string& prefix,
                  const std::string& content)
{
    appliance.make_directories(folder);
    const std::size_t before = appliance.glob(fmt::format("{}/{}[0-9][0-9].conf", folder, prefix)).size();
    appliance.write_file(fmt::format("{}/{}{:02}.conf", folder, prefix, before),
                         fmt::format("# Written by Kiln.\n{}", content));
}

std::string read_if_there(Appliance& appliance, const std::string& path)
{
    return appliance.is_file(path) ? appliance.read_file(path) : "";
}

const char* verb_of(recipes::ServiceStep::State state)
{
    switch (state) {
    case recipes::ServiceStep::State::disabled:
        return "disable";
    case recipes::ServiceStep::State::masked:
        return "mask";
    case recipes::ServiceStep::State::enabled:
        break;
    }
    return "enable";
}

} // namespace

void apply(const StepContext& context, const recipes::ServiceStep& step)
{
    const std::string unit = unit_name(step.name);
    if (!step.drop_in.empty()) {
        add_numbered(context.appliance, fmt::format("/etc/systemd/system/{}.d", unit), "50-kiln-", step.drop_in);
    }
    run_logged(context, {"systemctl", verb_of(step.state), "--", unit}); // in a chroot: links only, nothing is started
}

void apply(const StepContext& context, const recipes::HostnameStep& step)
{
    Appliance& appliance = context.appliance;
    appliance.write_file("/etc/hostname", step.name + "\n");
    appliance.write_file("/etc/hosts", with_own_name(read_if_there(appliance, "/etc/hosts"), step.name));
}

void apply(const StepContext& context, const recipes::TimezoneStep& step)
{
    Appliance& appliance = context.appliance;
    const std::string zone = "/usr/share/zoneinfo/" + step.zone;
    require_in_guest(context, "/usr/share/zoneinfo", "tzdata");
    if (!appliance.is_file(appliance.exists(zone) ? appliance.canonical(zone) : zone)) {
        throw Error(ErrorKind::step_failed, fmt::format("the image has no time zone \"{}\"", step.zone),
                    "its names are those of the files below /usr/share/zoneinfo, like \"Europe/Berlin\"");
    }
    appliance.make_link(zone, "/etc/localtime");
    appliance.write_file("/etc/timezone", step.zone + "\n");
}

void apply(const StepContext& context, const recipes::LocaleStep& step)
{
    Appliance& appliance = context.appliance;
    if (step.locale != "C.UTF-8" && step.locale != "C" && step.locale != "POSIX") { // the C library has these
        require_in_guest(context, "/usr/sbin/locale-gen", "locales");
        const std::string line = supported_locale(read_if_there(appliance, "/usr/share/i18n/SUPPORTED"), step.locale);
        if (line.empty()) {
            throw Error(ErrorKind::step_failed, fmt::format("the image's C library has no locale \"{}\"", step.locale),
                        "the names that it has are in /usr/share/i18n/SUPPORTED");
        }
        appliance.write_file("/etc/locale.gen", with_line(read_if_there(appliance, "/etc/locale.gen"), line));
        run_logged(context, {"/usr/sbin/locale-gen"});
    }
    appliance.make_directories("/etc/default");
    appliance.write_file("/etc/default/locale", fmt::format("LANG={}\n", step.locale));
}

void apply(const StepContext& context, const recipes::SysctlStep& step)
{
    std::string content;
    for (const auto& [name, value] : step.values) {
        content += fmt::format("{} = {}\n", name, value);
    }
    add_numbered(context.appliance, "/etc/sysctl.d", "60-kiln-", content);
}

void apply(const StepContext& context, const recipes::KernelModulesStep& step)
{
    Appliance& appliance = context.appliance;
    if (!step.load.empty()) {
        std::string content;
        for (const std::string& module : step.load) {
            content += module + "\n";
        }
        add_numbered(appliance, "/etc/modules-load.d", "kiln-", content);
    }
    if (step.block.empty()) {
        return;
    }
    std::string content;
    for (const std::string& module : step.block) { // "blacklist" alone leaves explicit loading possible
        content += fmt::format("blacklist {0}\ninstall {0} /bin/false\n", module);
    }
    add_numbered(appliance, "/etc/modprobe.d", "kiln-", content);
    if (appliance.exists("/usr/sbin/update-initramfs")) { // it holds a copy of /etc/modprobe.d
        run_logged(context, {"/usr/sbin/update-initramfs", "-u", "-k", "all"});
    }
}

void apply(const StepContext& context, const recipes::CertificateAuthorityStep& step)
{
    Appliance& appliance = context.appliance;
    const std::vector<std::string> certificates = certificates_of(step.pem);
    if (certificates.empty()) {
        throw Error(ErrorKind::step_failed, "there is no certificate in PEM in it");
    }
    require_in_guest(context, "/usr/sbin/update-ca-certificates", "ca-certificates");
    const std::string folder = "/usr/local/share/ca-certificates";
    appliance.make_directories(folder);
    for (std::size_t i = 0; i < certificates.size(); ++i) {
        const std::string file = certificates.size() == 1 ? fmt::format("{}/{}.crt", folder, step.name)
                                                          : fmt::format("{}/{}-{}.crt", folder, step.name, i + 1);
        appliance.write_file(file, certificates[i]);
    }
    run_logged(context, {"/usr/sbin/update-ca-certificates"});
}

} // namespace kiln::builder
