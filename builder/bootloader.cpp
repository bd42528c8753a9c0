// SPDX-License-Identifier: Apache-2.0
#include "builder/bootloader.h"

#include "builder/disk_layout.h"

#include <fmt/format.h>

namespace kiln::builder
{
namespace
{

// No menu to wait for; kernel and GRUB speak on the display and on the first serial port.
constexpr std::string_view grub_defaults = R"(# Written by Kiln.
GRUB_TIMEOUT=0
GRUB_RECORDFAIL_TIMEOUT=0
GRUB_CMDLINE_LINUX_DEFAULT=""
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
GRUB_DISABLE_OS_PROBER=true
)";

} // namespace

Json boot_configuration()
{
    return {{"grub", grub_defaults}, {"boot_type", bios_boot_type}, {"root_type", linux_root_type}};
}

void write_partition_table(Appliance& appliance, ByteSize disk_size)
{
    const std::string device(appliance_disk);
    const RootPartition root = root_partition(disk_size);
    appliance.make_gpt(device);
    appliance.add_partition(device, boot_first_sector, boot_last_sector, std::string(bios_boot_type));
    appliance.add_partition(device, root.first_sector, root.last_sector, std::string(linux_root_type));
}

void write_base_configuration(Appliance& appliance, const std::string& filesystem, const std::string& filesystem_uuid)
{
    appliance.write_file("/etc/fstab", fmt::format("# Written by Kiln.\nUUID={} / {} errors=remount-ro 0 1\n",
                                                   filesystem_uuid, filesystem));
    if (!appliance.exists("/etc/hostname")) {
        appliance.write_file("/etc/hostname", "localhost\n"); // so that the name given by DHCP counts
    }
    if (!appliance.exists("/etc/hosts")) {
        appliance.write_file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    }
}

void install_grub(Appliance& appliance)
{
    appliance.make_directories("/etc/default/grub.d");
    appliance.write_file("/etc/default/grub.d/10-kiln.cfg", grub_defaults);
    appliance.run({"grub-install", "--target=i386-pc", "--no-floppy", appliance.device_in_guest(0)});
    appliance.run({"update-grub"});
}

} // namespace kiln::builder
