// SPDX-License-Identifier: Apache-2.0
#include "builder/debian_bootstrap.h"

#include "builder/apt_failure.h"
#include "builder/apt_output.h"
#include "builder/bootloader.h"
#include "builder/disk_layout.h"
#include "builder/storage.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/process.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <pwd.h>
#include <regex>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

// Of the disk, in the hook, or the tar. It can be used, or opened anew through /proc, although the user namespace's
// root may not walk to the file's folder, and although another /tmp hides it.
constexpr int target_descriptor = 9;
// Of the list of what was installed, and of the pins of a lock file. Beyond those that mmdebstrap opens: it hands some
// to dash, which knows descriptors of one digit only.
constexpr int list_descriptor = 20;
constexpr int pins_descriptor = 21;

// apt's pins, before it chooses anything, those of the essential set included.
constexpr std::string_view pins_hook = R"(cat /proc/self/fd/21 >"$1"/etc/apt/preferences.d/00-kiln-lock)";

// Each installed package with the place and the digest of its file: apt has downloaded them by this very index. All
// in the form of `apt-get --print-uris`.
constexpr std::string_view list_hook = R"(set -eu
rm -f "$1"/etc/apt/preferences.d/00-kiln-lock
dpkg-query --admindir="$1"/var/lib/dpkg --show --showformat='${db:Status-Abbrev}${binary:Package}=${Version}\n' |
    sed -n 's/^ii //p' |
    APT_CONFIG=$MMDEBSTRAP_APT_CONFIG xargs --no-run-if-empty apt-get --option=Acquire::ForceHash=SHA256 --print-uris download >/proc/self/fd/20
)";

// Runs when all packages are in, with the root's folder as $1. What mmdebstrap would clean up after its hooks is
// cleaned up here, before the copy.
constexpr std::string_view clean_hook = R"(set -eu
root=$1
printf 'grub-pc grub-pc/install_devices multiselect /dev/vda\n' | chroot "$root" debconf-set-selections
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
rm -f "$root"/etc/apt/apt.conf.d/00mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/hostname "$root"/var/lib/dpkg/*-old "$root"/var/cache/debconf/*-old
if [ ! -L "$root"/etc/resolv.conf ]; then rm -f "$root"/etc/resolv.conf; fi
: > "$root"/etc/machine-id
# What keeps services from starting while packages are unpacked; in the image it would do so for ever.
rm -f "$root"/usr/sbin/policy-rc.d
if [ -e "$root"/sbin/start-stop-daemon.REAL ]; then mv "$root"/sbin/start-stop-daemon.REAL "$root"/sbin/start-stop-daemon; fi
)";

// The mounts of mmdebstrap are still in the root: a bind mount without them is what mke2fs copies.
constexpr std::string_view copy_hook = R"(set -eu
root=$1
unshare --mount sh -euc '
view=$1/mnt
mount --bind "$1" "$view"
rm -rf "$view"/run/* "$view"/tmp/* "$view"/tmp/.[!.]*
status=0
mke2fs -q -F -t ext4 -L root -U "$KILN_UUID" -d "$view" -E "offset=$KILN_OFFSET,nodiscard,assume_storage_prezeroed=1" /proc/self/fd/9 "$KILN_KIB"k || status=$?
echo "kiln: the tree has $(du -sxk "$view" | cut -f1) KiB" >&2
exit $status
' sh "$root"
)";

// Whether this user has subordinate ids, which mmdebstrap's unprivileged mode maps.
bool has_subordinate_ids()
{
    const passwd* user = ::getpwuid(::getuid());
    const std::string prefixes[] = {user != nullptr ? std::string(user->pw_name) + ":" : std::string(),
                                    std::to_string(::getuid()) + ":"};
    std::ifstream subuid("/etc/subuid");
    for (std::string line; std::getline(subuid, line);) {
        if (std::ranges::any_of(prefixes, [&](const std::string& p) { return !p.empty() && line.starts_with(p); })) {
            return true;
        }
    }
    return false;
}

std::string choose_mode()
{
    if (has_subordinate_ids()) {
        return "unshare";
    }
    if (::getuid() == 0) {
        return "root";
    }
    throw Error(ErrorKind::missing_tool,
                "this user has no subordinate user ids, so packages can't be unpacked without root",
                "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER");
}

// Said to standard error where the namespaces are there, to tell their failure from mmdebstrap's.
constexpr std::string_view inside = "kiln: the namespaces are there";

// As root the packages are unpacked in namespaces of their own: however Kiln ends, no process and no mount
// outlives it. They are unpacked below the work folder, which a later build sweeps; as /tmp, because apt's own
// user must be able to walk there.
std::vector<std::string> in_namespaces(const fs::path& unpacked)
{
    fs::create_directory(unpacked);
    return {"unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-euc",
            R"(mount --bind "$1" /tmp; echo "$2" >&2; shift 2; cd /; export TMPDIR=/tmp; exec "$@")",
            "sh",
            unpacked,
            std::string(inside)};
}

const std::string& recipe_suite(const recipes::Recipe& recipe)
{
    return std::get<recipes::BootstrapBase>(recipe.base).suite;
}

// Of a new file that begins with `content`, as the namespace's root gets it.
FileDescriptor create_file(const fs::path& file, std::string_view content)
{
    write_file_durably(file, content, 0600);
    FileDescriptor fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd || ::fchmod(fd.get(), 0666) != 0) { // as the disk
        throw system_error(errno, fmt::format("opening {}", file.native()));
    }
    return fd;
}

std::vector<InstalledPackage> read_list(const fs::path& file)
{
    std::vector<InstalledPackage> installed;
    for (AptDownload& download : parse_print_uris(read_file(file))) {
        installed.push_back(std::move(download.package));
    }
    if (installed.empty()) {
        throw Error(ErrorKind::package, "the bootstrap did not say which packages it installed");
    }
    return installed;
}

// Runs mmdebstrap with `options`; `command` has the target's descriptor, and what mmdebstrap runs under.
std::vector<InstalledPackage> bootstrap(const recipes::Recipe& recipe, const std::optional<LockFile::Layer>& locked,
                                        const fs::path& work, Command command, const std::vector<std::string>& options,
                                        Progress& progress, const std::stop_token& stop)
{
    require_program("mmdebstrap", "mmdebstrap");
    const auto& base = std::get<recipes::BootstrapBase>(recipe.base);
    const std::string mode = choose_mode();
    const fs::path unpacked = work / "unpacked";
    command.environment.emplace_back("LC_ALL", "C.UTF-8");
    command.on_error_line = [&](std::string_view line) { progress.detail(line); };
    if (mode == "root") {
        const std::vector<std::string> namespaces = in_namespaces(unpacked);
        command.argv.insert(command.argv.begin(), namespaces.begin(), namespaces.end());
        command.death_signal = SIGKILL; // unshare lets no other signal through
    }
    command.argv.insert(
        command.argv.end(),
        {"mmdebstrap", "--mode=" + mode, "--variant=" + base.variant, "--architectures=amd64",
         "--components=" + join(base.components, ","),
         // What a killed build wrote is thrown away; durable it becomes at publishing.
         "--dpkgopt=force-unsafe-io", "--include=" + join(packages_to_install(recipe), ","),
         "--aptopt=Acquire::Languages \"none\"", "--skip=cleanup/apt,cleanup/mmdebstrap,cleanup/reproducible",
         fmt::format("--customize-hook={}", list_hook), fmt::format("--customize-hook={}", clean_hook)});
    const FileDescriptor list = create_file(work / "packages", "");
    command.descriptors.emplace_back(list.get(), list_descriptor);
    FileDescriptor pins;
    if (locked) {
        pins = create_file(work / "pins", apt_preferences(*locked));
        command.descriptors.emplace_back(pins.get(), pins_descriptor);
        command.argv.push_back(fmt::format("--setup-hook={}", pins_hook));
    }
    command.argv.insert(command.argv.end(), options.begin(), options.end());
    if (!base.mirror.empty()) {
        command.argv.push_back(base.mirror);
    }
    const ProcessResult result = run(command, stop);
    if (!result.succeeded() && mode == "root" && result.errors.find(inside) == std::string::npos) {
        throw Error(ErrorKind::missing_tool,
                    fmt::format("this host gives root no namespaces to unpack packages in: {}",
                                tail_in_one_line(result.errors, 3)),
                    "a container needs the capability SYS_ADMIN, a chroot a / that is a mount point");
    }
    if (!result.succeeded()) {
        throw explain_bootstrap_failure(result.errors, recipe);
    }
    fs::remove_all(unpacked);
    std::vector<InstalledPackage> installed = read_list(work / "packages");
    if (locked) {
        require_same(*locked, {locked->step, installed});
    }
    return installed;
}

} // namespace

std::vector<std::string> packages_to_install(const recipes::Recipe& recipe)
{
    std::vector<std::string> packages = boot_packages(recipe.boot);
    packages.insert(packages.end(), {"systemd-sysv", "udev"});
    const std::vector<std::string> storage = storage_packages(recipe);
    packages.insert(packages.end(), storage.begin(), storage.end());
    const auto names_kernel = [](const std::string& name) { return name.starts_with("linux-image-"); };
    if (std::ranges::none_of(recipe.packages, names_kernel)) {
        packages.emplace_back("linux-image-cloud-amd64");
    }
    packages.insert(packages.end(), recipe.packages.begin(), recipe.packages.end());
    return packages;
}

Error explain_bootstrap_failure(std::string_view log_text, const recipes::Recipe& recipe)
{
    const auto& base = std::get<recipes::BootstrapBase>(recipe.base);
    const std::string log = printable(log_text);
    if (log.find("while populating file system") != log.npos && log.find("Could not allocate") != log.npos) {
        static const std::regex tree_size("kiln: the tree has (\\d+) KiB");
        std::smatch found;
        const bool known = std::regex_search(log, found, tree_size);
        const ByteSize content(known ? std::stoull(found[1]) * 1024 : 0);
        return {ErrorKind::recipe,
                fmt::format("storage[0].size: the root volume has {}, but its content alone needs {}",
                            to_string(recipe.root().size), to_string(content)),
                "raise storage.size in the recipe, or install fewer packages"};
    }
    return explain_apt_failure(log, {.archive = fmt::format("{} {}", base.distribution, base.suite),
                                     .mirror = base.mirror,
                                     .network_hint = "check the network, base.suite and base.mirror, then build again",
                                     .package_hint = "correct `packages` in the recipe; `apt-cache search WORD` "
                                                     "finds names"});
}

std::vector<InstalledPackage> bootstrap_debian(const recipes::Recipe& recipe,
                                               const std::optional<LockFile::Layer>& locked, const fs::path& disk,
                                               const std::string& filesystem_uuid, Progress& progress,
                                               const std::stop_token& stop)
{
    require_program("mke2fs", "e2fsprogs");
    const Partition partition = root_partitions(recipe.root(), recipe.boot).back();
    const FileDescriptor fd(::open(disk.c_str(), O_RDWR | O_CLOEXEC));
    // Only who can reach the 0700 work folder, or was handed the descriptor, can use this mode.
    if (!fd || ::fchmod(fd.get(), 0666) != 0) {
        throw system_error(errno, fmt::format("opening {}", disk.native()));
    }
    auto installed = bootstrap(recipe, locked, disk.parent_path(),
                               {.environment = {{"KILN_UUID", filesystem_uuid},
                                                {"KILN_OFFSET", std::to_string(partition.offset().bytes())},
                                                {"KILN_KIB", std::to_string(partition.size().bytes() / 1024)}},
                                .descriptors = {{fd.get(), target_descriptor}}},
                               {"--skip=cleanup/run,cleanup/tmp", "--customize-hook=" + std::string(copy_hook),
                                recipe_suite(recipe), "/dev/null"},
                               progress, stop);
    ::fchmod(fd.get(), 0600);
    return installed;
}

std::vector<InstalledPackage> bootstrap_debian_tar(const recipes::Recipe& recipe,
                                                   const std::optional<LockFile::Layer>& locked, const fs::path& tar,
                                                   Progress& progress, const std::stop_token& stop)
{
    FileDescriptor fd(::open(tar.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) {
        throw system_error(errno, fmt::format("creating {}", tar.native()));
    }
    auto installed = bootstrap(recipe, locked, tar.parent_path(),
                               {.argv = {"sh", "-euc", fmt::format(R"(exec "$@" >&{})", target_descriptor), "sh"},
                                .descriptors = {{fd.get(), target_descriptor}}},
                               {"--format=tar", recipe_suite(recipe), "-"}, progress, stop);
    fd.close();
    return installed;
}

} // namespace kiln::builder
