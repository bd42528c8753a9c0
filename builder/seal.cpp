// SPDX-License-Identifier: Apache-2.0
#include "builder/seal.h"

#include <array>

namespace kiln::builder
{
namespace
{

constexpr std::array removed{
    "/etc/ssh/ssh_host_*_key*",
    "/etc/apt/auth.conf",
    "/etc/apt/auth.conf.d/*",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/lib/systemd/timers/*",
    "/var/lib/apt/lists/*",
    "/var/cache/apt/*.bin",
    "/var/cache/apt/archives/*.deb",
    "/var/cache/apt/archives/partial/*",
    "/var/lib/cloud/*",
    "/var/lib/dhcp/*",
    "/var/lib/NetworkManager/*",
    "/var/log/journal/*",
    "/var/log/*.gz",
    "/var/log/*.[0-9]",
    "/var/lib/systemd/coredump/*",
    "/root/.bash_history",
    "/home/*/.bash_history",
    "/root/.lesshst",
    "/home/*/.lesshst",
    "/root/.viminfo",
    "/home/*/.viminfo",
    "/root/.python_history",
    "/home/*/.python_history",
    "/root/.cache",
    "/home/*/.cache",
    "/tmp/*",
    "/tmp/.[!.]*",
    "/var/tmp/*",
    "/var/tmp/.[!.]*",
};

// Kept, since programs expect them with their owner and mode, but emptied.
constexpr std::array emptied{
    "/var/log/*.log",   "/var/log/apt/*",   "/var/log/btmp",   "/var/log/wtmp",
    "/var/log/lastlog", "/var/log/faillog", "/var/log/syslog", "/var/log/messages",
};

// sshd won't start without host keys, which sealing removed, so its unit makes them. No RSA key:
// under TCG it alone would add seconds to the first boot.
constexpr const char* ssh_drop_in_folder = "/etc/systemd/system/ssh.service.d";
constexpr std::string_view ssh_drop_in = R"(# Written by Kiln: an image has no host keys, each instance makes its own.
[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'for type in ed25519 ecdsa; do file=/etc/ssh/ssh_host_$${type}_key; [ -s $$file ] || ssh-keygen -q -N "" -t $$type -f $$file; done'
ExecStartPre=/usr/sbin/sshd -t
)";

void remove_launch_keys(Appliance& appliance)
{
    const std::string file = "/root/.ssh/authorized_keys";
    if (!appliance.exists(file)) {
        return;
    }
    const std::string kept = without_launch_keys(appliance.read_file(file));
    if (kept.empty()) {
        appliance.remove_recursively(file);
    } else {
        appliance.write_file(file, kept);
    }
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

void seal(Appliance& appliance)
{
    for (const char* pattern : removed) {
        for (const std::string& path : appliance.glob(pattern)) {
            appliance.remove_recursively(path);
        }
    }
    for (const char* pattern : emptied) {
        for (const std::string& path : appliance.glob(pattern)) {
            if (appliance.is_file(path)) {
                appliance.truncate(path);
            }
        }
    }
    remove_launch_keys(appliance);
    // Empty, not absent: systemd then makes an id at boot but does not take it for a first boot.
    appliance.write_file("/etc/machine-id", "");
    if (appliance.is_file("/var/lib/dbus/machine-id")) {
        appliance.remove_recursively("/var/lib/dbus/machine-id");
    }
    if (appliance.exists("/lib/systemd/system/ssh.service")) {
        appliance.make_directories(ssh_drop_in_folder);
        appliance.write_file(std::string(ssh_drop_in_folder) + "/10-kiln-host-keys.conf", ssh_drop_in);
    }
    appliance.trim("/");
}

} // namespace kiln::builder
