// SPDX-License-Identifier: Apache-2.0
#include "builder/apt_installer.h"

#include "builder/apt_failure.h"
#include "builder/guest_apt.h"
#include "builder/software.h"
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <regex>
#include <set>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr std::string_view guest_folder = "/var/tmp/.kiln-packages";
constexpr std::string_view lock_preferences = "00-kiln-lock"; // before the guest's own: the first one counts
constexpr std::string_view extended_states = "/var/lib/apt/extended_states";

// No service starts; what the guest had for that is put back, whatever happens. dpkg asks nothing: a changed
// configuration file is kept. The data is made durable when the layer is cut.
constexpr std::string_view script_head = R"(set -eu
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C.UTF-8
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
unset TMPDIR
cd /var/tmp/.kiln-packages
policy=/usr/sbin/policy-rc.d
if [ -e "$policy" ] || [ -L "$policy" ]; then mv "$policy" "$policy.kiln"; fi
restore() { rm -f "$policy"; if [ -e "$policy.kiln" ] || [ -L "$policy.kiln" ]; then mv "$policy.kiln" "$policy"; fi; }
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' > "$policy"
chmod 755 "$policy"
run_dpkg() { dpkg --force-unsafe-io --force-confdef --force-confold "$@"; }
set -- /boot/vmlinuz-*
if [ ! -e "$1" ]; then export INITRD=No; fi
)";

// Without KVM an initramfs takes minutes. The kernel's package and a trigger would each make one of a system's first
// kernel: INITRD=No keeps the kernel's hooks from it, which then run when all is configured.
constexpr std::string_view first_initramfs = R"(if [ "${INITRD-}" = No ]; then
    unset INITRD
    for kernel in /boot/vmlinuz-*; do
        if [ -e "$kernel" ]; then
            run-parts --exit-on-error --arg="${kernel#/boot/vmlinuz-}" --arg="$kernel" /etc/kernel/postinst.d
        fi
    done
fi
)";

bool is_package_name(const std::string& name)
{
    static const std::regex format("[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?");
    return name.size() <= 200 && std::regex_match(name, format);
}

std::string name_of_request(const std::string& request)
{
    return request.substr(0, request.find('='));
}

void check_request(const std::string& request)
{
    static const std::regex version("[A-Za-z0-9][A-Za-z0-9.+~:-]*");
    const std::size_t equals = request.find('=');
    if (!is_package_name(name_of_request(request)) ||
        (equals != request.npos && !std::regex_match(request.substr(equals + 1), version))) {
        throw Error(ErrorKind::package, fmt::format("\"{}\" is not a package", printable(request, false)),
                    R"(write it like "nginx" or "nginx=1.22.1-9")");
    }
}

std::size_t number_of(const AptAction& action, const AptTransaction& transaction)
{
    return static_cast<std::size_t>(&download_for(action, transaction.downloads) - transaction.downloads.data());
}

std::string field_of(std::string_view stanza, std::string_view name)
{
    const std::string start = fmt::format("\n{}: ", name);
    const std::string text = "\n" + std::string(stanza);
    const std::size_t at = text.find(start);
    if (at == text.npos) {
        return {};
    }
    const std::size_t begin = at + start.size();
    return text.substr(begin, text.find('\n', begin) - begin);
}

std::vector<InstalledPackage> packages_of(const std::vector<AptDownload>& downloads)
{
    std::vector<InstalledPackage> packages;
    std::ranges::transform(downloads, std::back_inserter(packages), &AptDownload::package);
    return packages;
}

} // namespace

std::vector<std::string> apt_arguments(const recipes::PackagesStep& step)
{
    std::vector<std::string> arguments;
    for (const std::string& request : step.add) {
        check_request(request);
        arguments.push_back(request);
    }
    for (const std::string& name : step.remove) {
        if (!is_package_name(name)) {
            throw Error(ErrorKind::package, fmt::format("\"{}\" is not a package", printable(name, false)));
        }
        arguments.push_back(fmt::format("{}-", name));
    }
    return arguments;
}

std::string dpkg_script(const AptTransaction& transaction, const std::vector<std::string>& hold)
{
    std::string script(script_head);
    for (const AptCall& call : group_actions(transaction.actions)) {
        switch (call.kind) {
        case AptAction::Kind::unpack:
            script += "run_dpkg --no-triggers --unpack --auto-deconfigure";
            break;
        case AptAction::Kind::configure:
            script += "run_dpkg --no-triggers --configure";
            break;
        case AptAction::Kind::remove:
            // apt has worked out that what depends on them goes as well, or gets another one.
            script += "run_dpkg --no-triggers --force-depends --remove";
            break;
        }
        for (const AptAction& action : call.actions) {
            script += call.kind == AptAction::Kind::unpack ? fmt::format(" {}.deb", number_of(action, transaction))
                                                           : fmt::format(" {}", action.package);
        }
        script += '\n';
    }
    if (!transaction.actions.empty()) {
        script += "run_dpkg --configure --pending\n"; // with the triggers of all
        script += first_initramfs;
    }
    for (const std::string& name : hold) {
        script += fmt::format("dpkg-query --show '{0}' >/dev/null\necho '{0} hold' | dpkg --set-selections\n", name);
    }
    return script;
}

std::string mark_automatic(std::string_view states, const AptTransaction& transaction,
                           const std::vector<std::string>& asked_for, std::string_view architecture)
{
    std::set<std::string> manual;
    for (const std::string& request : asked_for) {
        manual.insert(name_of_request(request));
    }
    std::string marked;
    while (!states.empty()) {
        const std::size_t end = std::min(states.find("\n\n"), states.size());
        const std::string_view stanza = states.substr(0, end);
        states.remove_prefix(std::min(end + 2, states.size()));
        if (!stanza.empty() && !manual.contains(field_of(stanza, "Package"))) {
            marked.append(stanza);
            marked += stanza.ends_with('\n') ? "\n" : "\n\n";
        }
    }
    for (const AptAction& action : transaction.actions) {
        if (action.kind == AptAction::Kind::unpack && action.is_new && !manual.contains(action.package)) {
            marked += fmt::format("Package: {}\nArchitecture: {}\nAuto-Installed: 1\n\n",
                                  action.package.substr(0, action.package.find(':')), architecture);
        }
    }
    return marked;
}

AptInstaller::AptInstaller(fs::path cache, fs::path work, Progress& progress, std::stop_token stop)
    : cache_(std::move(cache)), work_(std::move(work)), progress_(progress), stop_(std::move(stop))
{
}

void AptInstaller::install(Appliance& appliance, const recipes::PackagesStep& step, const fs::path& log)
{
    for (const std::string& name : step.hold) {
        check_request(name);
    }
    installed_.clear();
    const std::vector<std::string> wanted = apt_arguments(step);
    const WorkFolder files(work_, "packages-");
    AptTransaction transaction;
    if (!wanted.empty()) {
        progress_.detail("reading what the image's apt is set up for");
        GuestAptReport report = read_guest_apt(appliance);
        for (const std::string& ignored : report.ignored) {
            progress_.note("left out: " + ignored);
            append_to_log(log, "left out: " + ignored);
        }
        if (locked_) {
            report.apt.preferences.insert_or_assign(std::string(lock_preferences), apt_preferences(*locked_));
        }
        progress_.detail("resolving and downloading on the host");
        transaction = HostApt(cache_, report.apt, log, stop_).fetch(wanted, files.path());
    }
    std::vector<InstalledPackage> packages = packages_of(transaction.downloads);
    if (locked_) {
        require_same(*locked_, {locked_->step, packages});
    }
    carry_out(appliance, transaction, step, files.path(), log);
    installed_ = std::move(packages);
}

void AptInstaller::carry_out(Appliance& appliance, const AptTransaction& transaction, const recipes::PackagesStep& step,
                             const fs::path& files, const fs::path& log)
{
    if (transaction.actions.empty() && step.hold.empty()) {
        return;
    }
    const std::string folder(guest_folder);
    appliance.remove_recursively(folder); // the image may have anything there
    appliance.make_directories(folder);
    appliance.set_mode(folder, 0700);
    if (!transaction.downloads.empty()) {
        std::vector<std::string> members;
        for (std::size_t i = 0; i < transaction.downloads.size(); ++i) {
            members.push_back(fmt::format("{}.deb", i));
            fs::rename(files / transaction.downloads[i].file, files / members.back());
        }
        Command tar{.argv = {"tar", "--create", "--file", files / "packages.tar", "--owner=0", "--group=0",
                             "--numeric-owner", "--mode=0644", "--directory", files}};
        tar.argv.insert(tar.argv.end(), members.begin(), members.end());
        run_or_throw(tar, "packing the packages", stop_);
        progress_.detail(fmt::format("carrying {} packages into the image", members.size()));
        appliance.unpack_tar(files / "packages.tar", folder);
    }
    appliance.write_file(folder + "/script", dpkg_script(transaction, step.hold));
    progress_.detail("unpacking and configuring in the image");
    const std::string status_text = appliance.run(
        {"/bin/sh", "-c", fmt::format("/bin/sh {0}/script </dev/null >{0}/log 2>&1; echo $?", guest_folder)});
    int status = -1;
    std::from_chars(status_text.data(), status_text.data() + status_text.size(), status);
    const std::string output = appliance.read_file(folder + "/log");
    append_to_log(log, output);
    if (status != 0) {
        throw explain_dpkg_failure(output);
    }
    appliance.remove_recursively(folder);
    if (!transaction.actions.empty()) {
        appliance.write_file(std::string(extended_states),
                             mark_automatic(appliance.is_file(std::string(extended_states))
                                                ? appliance.read_file(std::string(extended_states))
                                                : "",
                                            transaction, step.add, "amd64"));
    }
}

void AptInstaller::add_source(Appliance& appliance, const recipes::AptSourceStep& step)
{
    static const std::regex name("[A-Za-z0-9][A-Za-z0-9_-]*");
    if (!std::regex_match(step.name, name)) {
        throw Error(ErrorKind::recipe, fmt::format("\"{}\" is no name for an apt source", printable(step.name, false)));
    }
    const bool armoured = step.key.find("-----BEGIN PGP") != step.key.npos;
    const std::string keyring = fmt::format("/etc/apt/keyrings/{}.{}", step.name, armoured ? "asc" : "gpg");
    const AptSource source{
        .uris = {step.uri}, .suites = {step.suite}, .components = step.components, .signed_by = {keyring}};
    AptSources read;
    read_deb822_sources(to_deb822(source), "the recipe", "amd64", read);
    if (read.sources.size() != 1 || !read.ignored.empty()) {
        throw Error(ErrorKind::recipe, fmt::format("the apt source {} is wrong{}", step.name,
                                                   read.ignored.empty() ? "" : ": " + read.ignored.front()));
    }
    for (const auto& [path, content] :
         {std::pair{keyring, step.key},
          std::pair{fmt::format("/etc/apt/sources.list.d/{}.sources", step.name), to_deb822(source)}}) {
        appliance.make_directories(fs::path(path).parent_path());
        appliance.write_file(path, content);
        appliance.set_mode(path, 0644); // apt's own user reads it
    }
}

} // namespace kiln::builder
