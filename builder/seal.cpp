// SPDX-License-Identifier: Apache-2.0
#include "builder/seal.h"

#include "builder/guest_accounts.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr std::array removed{
    // Identity, and what only one machine may know
    "/etc/ssh/ssh_host_*_key*",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
    "/var/lib/urandom/random-seed",
    "/{boot,boot/efi,efi}/loader/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/lib/private/systemd/credential.secret",
    "/etc/udev/rules.d/70-persistent-net.rules",
    // Credentials of the build
    "/etc/apt/auth.conf",
    "/etc/apt/auth.conf.d/*",
    // Caches and state that a first boot makes anew
    "/var/lib/systemd/timers/*",
    "/var/lib/private/systemd/{journal-upload,journal-remote}/*",
    "/var/lib/systemd/{journal-upload,journal-remote}/*",
    "/var/lib/systemd/coredump/*",
    "/var/crash/*",
    "/var/lib/apt/lists/*",
    "/var/cache/apt/*.bin",
    "/var/cache/apt/archives/*.deb",
    "/var/cache/apt/archives/partial/*",
    "/var/lib/sudo/{ts,lectured}/*",
    "/{tmp,var/tmp,run}/{*,.[!.]*,..?*}",
    // What cloud-init wrote for one instance, its network among it
    "/var/lib/cloud/*",
    "/etc/netplan/50-cloud-init.yaml",
    "/etc/network/interfaces.d/50-cloud-init*",
    "/etc/systemd/network/10-cloud-init-*",
    // What installers leave: subiquity writes the answers, with password hashes, there
    "/var/log/installer",
    "/etc/cloud/cloud.cfg.d/99-installer.cfg",
    // DHCP leases
    "/var/lib/{dhcp,dhclient,dhcpcd,NetworkManager}/*",
    "/var/lib/systemd/network/*",
    // Logs that are no longer written to
    "/var/log/journal/*",
    "/var/log/{*,*/*}.{gz,xz,zst,bz2,old,[0-9],[0-9][0-9]}",
};

constexpr std::string_view removed_from_homes =
    "{.bash_history,.zsh_history,.sh_history,.ash_history,.history,.lesshst,.viminfo,.wget-hsts,.python_history,"
    ".psql_history,.mysql_history,.mariadb_history,.sqlite_history,.rediscli_history,.node_repl_history,.cache,"
    ".ssh/known_hosts,.ssh/known_hosts.old,.gnupg/random_seed,.sudo_as_admin_successful,.Xauthority}";

// sshd won't start without host keys, which sealing removed, so its unit makes them. No RSA key:
// under TCG it alone would add seconds to the first boot.
constexpr const char* ssh_drop_in_folder = "/etc/systemd/system/ssh.service.d";
constexpr std::string_view ssh_drop_in = R"(# Written by Kiln: an image has no host keys, each instance makes its own.
[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'for type in ed25519 ecdsa; do file=/etc/ssh/ssh_host_$${type}_key; [ -s $$file ] || ssh-keygen -q -N "" -t $$type -f $$file; done'
ExecStartPre=/usr/sbin/sshd -t
)";

bool is_below(std::string_view path, std::string_view folder)
{
    return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

class Sealer
{
public:
    Sealer(Appliance& appliance, std::span<const std::string> keep) : appliance_(appliance)
    {
        for (const std::string& pattern : keep) {
            for (const std::string& path : appliance_.glob(pattern)) {
                kept_.push_back(appliance_.in_canonical_folder(path));
            }
        }
    }

    void remove_matches(const std::string& pattern)
    {
        for (const std::string& path : appliance_.glob(pattern)) {
            remove(appliance_.in_canonical_folder(path));
        }
    }

    // Programs expect a log with its owner and mode, so that the files stay.
    void empty_logs()
    {
        if (!appliance_.exists("/var/log")) {
            return;
        }
        const std::string folder = appliance_.canonical("/var/log");
        for (const std::string& name : appliance_.list_below(folder)) {
            const std::string path = fmt::format("{}/{}", folder, name);
            if (!keeps(path) && appliance_.is_file(path)) {
                appliance_.truncate(path);
            }
        }
    }

    void remove_launch_keys(const std::string& homes)
    {
        for (const std::string& found : appliance_.glob(homes + "/.ssh/authorized_keys")) {
            const std::string file = appliance_.in_canonical_folder(found);
            if (keeps(file) || !appliance_.is_file(file)) {
                continue;
            }
            const std::string before = appliance_.read_file(file);
            const std::string after = without_launch_keys(before);
            if (after.empty()) {
                appliance_.remove_recursively(file);
            } else if (after != before) {
                appliance_.write_file(file, after);
            }
        }
    }

    void empty_machine_id()
    {
        if (!keeps(appliance_.in_canonical_folder("/etc/machine-id"))) {
            appliance_.remove_recursively("/etc/machine-id"); // it could be a link
            // Empty, not absent: systemd then makes an id at boot but does not take it for a first boot.
            appliance_.write_file("/etc/machine-id", "");
            appliance_.set_mode("/etc/machine-id", 0444);
        }
    }

private:
    [[nodiscard]] bool keeps(const std::string& path) const { return fate_of(path, kept_) == SealFate::keep; }

    void remove(const std::string& path)
    {
        switch (fate_of(path, kept_)) {
        case SealFate::keep:
            return;
        case SealFate::remove:
            appliance_.remove_recursively(path);
            return;
        case SealFate::look_inside:
            for (const std::string& name : appliance_.list(path)) {
                remove(fmt::format("{}/{}", path, name));
            }
            return;
        }
    }

    Appliance& appliance_;
    std::vector<std::string> kept_;
};

bool is_home(const std::string& path)
{
    constexpr std::array<std::string_view, 13> system{"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64",      "/proc",
                                                      "/run", "/sbin", "/sys", "/tmp", "/usr", "/nonexistent"};
    return path.size() > 1 && path.starts_with('/') && fs::path(path).lexically_normal() == path &&
           std::ranges::none_of(system,
                                [&](std::string_view folder) { return path == folder || is_below(path, folder); });
}

} // namespace

std::string without_launch_keys(std::string_view authorized_keys)
{
    std::string kept;
    while (!authorized_keys.empty()) {
        const std::size_t end = std::min(authorized_keys.find('\n'), authorized_keys.size() - 1) + 1;
        const std::string_view line = authorized_keys.substr(0, end);
        authorized_keys.remove_prefix(end);
        if (line.find(" kiln-launch-key i-") == line.npos) {
            kept += line;
        }
    }
    return kept;
}

SealFate fate_of(std::string_view path, std::span<const std::string> kept)
{
    if (std::ranges::any_of(kept, [&](const std::string& k) { return path == k || is_below(path, k); })) {
        return SealFate::keep;
    }
    const bool holds_some = std::ranges::any_of(kept, [&](const std::string& k) { return is_below(k, path); });
    return holds_some ? SealFate::look_inside : SealFate::remove;
}

std::string homes_pattern(std::string_view passwd)
{
    std::set<std::string> homes;
    for (const GuestUser& user : parse_passwd(passwd)) {
        if (is_home(user.home) && fs::path(user.home).parent_path() != "/home") {
            homes.insert(user.home);
        }
    }
    homes.insert("/root");
    std::string pattern = "/{home/*";
    for (const std::string& home : homes) {
        pattern += ',';
        for (const char c : home.substr(1)) {
            if (std::string_view("{},*?[]\\").find(c) != std::string_view::npos) {
                pattern += '\\';
            }
            pattern += c;
        }
    }
    return pattern + "}";
}

void seal(Appliance& appliance, std::span<const std::string> keep)
{
    appliance.end_guest_processes();
    Sealer sealer(appliance, keep);
    const std::string homes = homes_pattern(read_passwd(appliance));
    for (const char* pattern : removed) {
        sealer.remove_matches(pattern);
    }
    sealer.remove_matches(fmt::format("{}/{}", homes, removed_from_homes));
    sealer.remove_launch_keys(homes);
    sealer.empty_logs();
    sealer.empty_machine_id();
    if (appliance.exists("/lib/systemd/system/ssh.service")) {
        appliance.make_directories(ssh_drop_in_folder);
        appliance.write_file(std::string(ssh_drop_in_folder) + "/10-kiln-host-keys.conf", ssh_drop_in);
    }
    appliance.trim("/");
}

} // namespace kiln::builder
