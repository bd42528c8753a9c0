// SPDX-License-Identifier: Apache-2.0
#include "builder/bootloader.h"

#include "builder/memory_folder.h"

#include <fmt/format.h>

namespace kiln::builder
{
namespace
{

bool is_uefi(const recipes::Boot& boot)
{
    return boot.firmware == "uefi";
}

// No menu to wait for; kernel and GRUB speak on the display and, unless the recipe says no, on the first
// serial port.
std::string grub_defaults(const recipes::Boot& boot)
{
    std::string defaults = "# Written by Kiln.\n"
                           "GRUB_TIMEOUT=0\n"
                           "GRUB_RECORDFAIL_TIMEOUT=0\n"
                           "GRUB_CMDLINE_LINUX_DEFAULT=\"\"\n"
                           "GRUB_DISABLE_OS_PROBER=true\n";
    const std::string more = boot.kernel_command_line.empty() ? "" : " " + boot.kernel_command_line;
    if (!boot.serial_console) {
        return defaults + fmt::format("GRUB_CMDLINE_LINUX=\"console=tty0{}\"\n", more);
    }
    return defaults + fmt::format("GRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS0,115200{}\"\n", more) +
           "GRUB_TERMINAL=\"console serial\"\n"
           "GRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\n";
}

// repart.d(5): systemd enlarges the root partition at boot where the disk has room; fstab has growfs for the rest.
constexpr std::string_view growing_root = R"(# Written by Kiln: the root takes what a larger volume offers.
[Partition]
Type=root
)";

// Of grub-mkconfig's 15 questions to grub-probe, 9 are different ones, and each takes 0.4 s without KVM. In memory and
// by a copy of grub-mkconfig, so that nothing of it is left; one that has no such line asks again and again.
constexpr std::string_view grub_folder = "/run/kiln-grub";
constexpr std::string_view remembering_probe = R"(#!/bin/sh
answer="/run/kiln-grub/answers/$*/answer"
if [ ! -e "$answer" ]; then
    mkdir -p "${answer%/*}"
    /usr/sbin/grub-probe "$@" >"$answer" || { status=$?; rm "$answer"; exit $status; }
fi
cat "$answer"
)";
constexpr const char* update_grub = R"(probe=/run/kiln-grub/grub-probe
sed "s|^grub_probe=.*|export grub_probe=$probe|" /usr/sbin/grub-mkconfig >/run/kiln-grub/grub-mkconfig
chmod +x "$probe"
exec sh /run/kiln-grub/grub-mkconfig -o /boot/grub/grub.cfg)";

} // namespace

Json boot_configuration(const recipes::Boot& boot)
{
    return {{"firmware", boot.firmware}, {"grub", grub_defaults(boot)}, {"repart", growing_root}};
}

std::vector<std::string> boot_packages(const recipes::Boot& boot)
{
    return {is_uefi(boot) ? "grub-efi-amd64" : "grub-pc"};
}

void write_base_configuration(Appliance& appliance)
{
    if (!appliance.exists("/etc/hostname")) {
        appliance.write_file("/etc/hostname", "localhost\n"); // so that the name given by DHCP counts
    }
    if (!appliance.exists("/etc/hosts")) {
        appliance.write_file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    }
    appliance.make_directories("/etc/repart.d");
    appliance.write_file("/etc/repart.d/50-root.conf", growing_root);
}

void remember_grub_disk(Appliance& appliance, const recipes::Boot& boot)
{
    if (!is_uefi(boot)) {
        appliance.run(
            {"/bin/sh", "-c", "echo grub-pc grub-pc/install_devices multiselect /dev/vda | debconf-set-selections"});
    }
}

void install_grub(Appliance& appliance, const recipes::Boot& boot)
{
    appliance.make_directories("/etc/default/grub.d");
    appliance.write_file("/etc/default/grub.d/10-kiln.cfg", grub_defaults(boot));
    if (is_uefi(boot)) {
        // As removable: an instance's firmware starts with empty variables.
        appliance.run(
            {"grub-install", "--target=x86_64-efi", "--efi-directory=/boot/efi", "--removable", "--no-nvram"});
    } else {
        appliance.run({"grub-install", "--target=i386-pc", "--no-floppy", appliance.device_in_guest(0)});
    }
    MemoryFolder memory(appliance, grub_folder, mebibytes(8));
    appliance.write_file(memory.file("grub-probe"), remembering_probe);
    appliance.run({"/bin/sh", "-euc", update_grub});
    memory.close();
}

} // namespace kiln::builder
