// SPDX-License-Identifier: Apache-2.0
#include "launcher/qemu_command.h"

#include "core/digest.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace kiln::launcher
{
namespace
{

// cloud-init and ds-identify look for EC2 only where the DMI's UUID and serial number are equal and start with
// "ec2". The rest is the instance's id, so that no two guests have the same one: systemd makes the machine id of it.
std::string system_uuid(const std::string& id)
{
    const std::string hex = "ec2" + id.substr(2) + digest_of(id).hex();
    return fmt::format("{}-{}-4{}-8{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 3), hex.substr(15, 3),
                       hex.substr(18, 12));
}

// Datagrams, each a frame, to and from the network helper, which can be started anew behind QEMU's back.
Json network_socket(const InstancePaths& paths)
{
    return {{"type", "dgram"},
            {"id", "net"},
            {"local", {{"type", "unix"}, {"path", paths.qemu_network_socket.native()}}},
            {"remote", {{"type", "unix"}, {"path", paths.network_socket.native()}}}};
}

void add_disk(std::vector<std::string>& argv, const InstanceDisk& disk, std::size_t index)
{
    std::string below;
    for (std::size_t i = 0; i < disk.layers.size(); ++i) {
        const std::string name = layer_node(index, i);
        argv.insert(argv.end(), {"-blockdev", qcow2_node(name, disk.layers[i], true, below).dump()});
        below = name;
    }
    for (const std::filesystem::path& overlay : disk.lower) {
        const std::string name = overlay_node(index, overlay);
        Json node = qcow2_node(name, overlay, true, below);
        node["file"].update(
            {{"read-only", false}, {"auto-read-only", true}}); // until it is merged into, QEMU only reads
        argv.insert(argv.end(), {"-blockdev", node.dump()});
        below = name;
    }
    const std::string top = overlay_node(index, disk.overlay);
    argv.insert(argv.end(), {"-blockdev", qcow2_node(top, disk.overlay, false, below).dump(), "-device",
                             fmt::format("virtio-blk-pci,drive={},serial={},bootindex={}", top,
                                         disk.device.substr(disk.device.rfind('/') + 1), index)});
}

Json raw_node(const std::string& name, const std::filesystem::path& file, bool read_only)
{
    return {{"driver", "raw"},
            {"node-name", name},
            {"read-only", read_only},
            {"file", {{"driver", "file"}, {"filename", file.native()}, {"read-only", read_only}}}};
}

// The guest's kernel names its disks as it finds them: by their place on the bus, which is their order here.
std::vector<std::size_t> in_device_order(const std::vector<InstanceDisk>& disks)
{
    std::vector<std::size_t> order(disks.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return disks[i].device; });
    return order;
}

} // namespace

std::string overlay_node(std::size_t disk, const std::filesystem::path& overlay)
{
    std::string number = overlay.stem().extension();
    std::ranges::replace(number, '.', '-');
    return fmt::format("disk{}{}", disk, number);
}

std::string layer_node(std::size_t disk, std::size_t layer)
{
    return fmt::format("disk{}-layer{}", disk, layer);
}

Json qcow2_node(const std::string& name, const std::filesystem::path& file, bool read_only, const std::string& backing)
{
    // The default cache mode: a guest's flush reaches the host's disk, a host crash loses only what the guest had not
    // flushed.
    return {
        {"driver", "qcow2"},
        {"node-name", name},
        {"read-only", read_only},
        {"discard", "unmap"},
        {"backing", backing.empty() ? Json() : Json(backing)},
        {"file", {{"driver", "file"}, {"filename", file.native()}, {"read-only", read_only}, {"discard", "unmap"}}}};
}

std::vector<std::string> qemu_argv(const Instance& instance, const InstancePaths& paths)
{
    const bool kvm = instance.accelerator == Accelerator::kvm;
    std::vector<std::string> argv = {
        "qemu-system-x86_64",
        "-name",
        fmt::format("guest={},debug-threads=on", instance.id),
        "-nodefaults",
        "-no-user-config",
        "-sandbox",
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-machine",
        instance.boot_mode == "uefi" ? "pc-q35-7.2,pflash0=firmware-code,pflash1=firmware-variables" : "pc-q35-7.2",
        "-accel",
        kvm ? "kvm" : "tcg,thread=multi",
        "-cpu",
        // Under TCG every feature costs: Debian boots in 21 s on qemu64, in 28 s on max.
        kvm ? "host" : "qemu64",
        "-smp",
        std::to_string(instance.vcpus),
        "-m",
        fmt::format("{}M", instance.memory.bytes() >> 20U),
        "-display",
        "none",
        "-pidfile",
        paths.pid_file.native(),
        "-chardev",
        fmt::format("socket,id=qmp,path={},server=on,wait=off", option_value(paths.qmp_socket)),
        "-mon",
        "chardev=qmp,mode=control",
        "-chardev",
        fmt::format("file,id=console,path={},append=on", option_value(paths.console)),
        "-device",
        "isa-serial,chardev=console",
        "-device",
        "virtio-serial-pci",
        "-chardev",
        fmt::format("socket,id=agent,path={},server=on,wait=off", option_value(paths.agent_socket)),
        "-device",
        "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
        "-object",
        "rng-random,id=rng,filename=/dev/urandom",
        "-device",
        "virtio-rng-pci,rng=rng",
        "-netdev",
        network_socket(paths).dump(),
        "-device",
        fmt::format("virtio-net-pci,netdev=net,mac={},romfile=", mac_address(instance.id)),
        "-smbios",
        fmt::format("type=1,manufacturer=Kiln,product={0},uuid={1},serial={1}", instance.type,
                    system_uuid(instance.id)),
        // systemd in the guest takes it as root's authorized_keys (systemd-tmpfiles, provision.conf).
        "-fw_cfg",
        fmt::format("name=opt/io.systemd.credentials/ssh.authorized_keys.root,file={}",
                    option_value(instance.ssh_key.native() + ".pub")),
    };
    if (instance.boot_mode == "uefi") {
        argv.insert(argv.end(), {"-blockdev", raw_node("firmware-code", firmware_code, true).dump(), "-blockdev",
                                 raw_node("firmware-variables", paths.firmware_variables, false).dump()});
    }
    for (const std::size_t i : in_device_order(instance.disks)) {
        add_disk(argv, instance.disks[i], i);
    }
    // The display that `kiln instance screenshot` takes a picture of. Every firmware, bootloader and kernel can draw on
    // it as text. Last on the bus, so that it changes no other device's place.
    argv.insert(argv.end(), {"-device", "VGA,vgamem_mb=16"});
    return argv;
}

} // namespace kiln::launcher
