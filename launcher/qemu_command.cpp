// SPDX-License-Identifier: Apache-2.0
#include "launcher/qemu_command.h"

#include "core/digest.h"
#include "core/text.h"
#include "launcher/storage/volume.h"
#include "launcher/storage/volume_plug.h"
#include "launcher/warm/clone_message.h"
#include "launcher/warm/guest_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace kiln::launcher
{
namespace
{

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
    for (const Json& node : overlay_nodes(disk_node(index), disk, below)) {
        argv.insert(argv.end(), {"-blockdev", node.dump()});
    }
    argv.insert(argv.end(),
                {"-device", fmt::format("virtio-blk-pci,drive={},serial={},bootindex={}",
                                        overlay_node(disk_node(index), disk.overlay),
                                        disk.volume_id.empty() ? disk.device.substr(disk.device.rfind('/') + 1)
                                                               : volume_serial(disk.volume_id),
                                        index)});
}

// A clone, or what becomes a template: its memory is an object by itself.
bool has_own_memory(const Instance& instance)
{
    return instance.warm && instance.warm->start != WarmLaunch::Start::cold;
}

std::string machine_of(const Instance& instance)
{
    return fmt::format("{}{}{}", machine_type,
                       instance.boot_mode == "uefi" ? ",pflash0=firmware-code,pflash1=firmware-variables" : "",
                       has_own_memory(instance) ? fmt::format(",memory-backend={}", memory_object) : "");
}

// A clone maps its template's memory privately: a page is shared until the clone writes to it. What QEMU opens is a
// memory file in the place of that path (passed_files.h).
void add_memory(std::vector<std::string>& argv, const Instance& instance, const InstancePaths& paths)
{
    const bool clone = instance.warm->start == WarmLaunch::Start::clone;
    argv.insert(argv.end(),
                {"-object",
                 fmt::format("memory-backend-file,id={},size={}M,mem-path=guest-memory,share={}", memory_object,
                             instance.memory.bytes() >> 20U, clone ? "off" : "on"),
                 "-chardev",
                 fmt::format("socket,id=clone,path={},server=on,wait=off", option_value(paths.clone_socket)), "-device",
                 fmt::format("virtserialport,chardev=clone,name={}", clone_port)});
    if (clone) {
        argv.insert(argv.end(), {"-incoming", "defer", "-S"});
    }
}

Json raw_node(const std::string& name, const std::filesystem::path& file, bool read_only)
{
    return {{"driver", "raw"},
            {"node-name", name},
            {"read-only", read_only},
            {"file", {{"driver", "file"}, {"filename", file.native()}, {"read-only", read_only}}}};
}

// Ports that volumes come to while the guest runs, eight in a slot; the last of the bus, so that they change no other
// device's place. Legacy I/O space, of which a PC has too little for all of them, is of no use to virtio.
void add_volumes(std::vector<std::string>& argv, const std::vector<InstanceDisk>& volumes)
{
    for (unsigned port = 0; port < hot_ports; ++port) {
        argv.insert(argv.end(), {"-device", fmt::format("pcie-root-port,id={},chassis={},addr={:#x}.{},io-reserve=0{}",
                                                        hot_port(port), port + 1, 0x1c + port / 8, port % 8,
                                                        port % 8 == 0 ? ",multifunction=on" : "")});
    }
    for (unsigned i = 0; i < volumes.size(); ++i) {
        const std::string& id = volumes[i].volume_id;
        for (const Json& node : overlay_nodes(id, volumes[i], "")) {
            argv.insert(argv.end(), {"-blockdev", node.dump()});
        }
        argv.insert(argv.end(),
                    {"-device", fmt::format("virtio-blk-pci,id={},drive={},bus={},serial={}", id,
                                            overlay_node(id, volumes[i].overlay), hot_port(i), volume_serial(id))});
    }
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

std::string disk_node(std::size_t disk)
{
    return fmt::format("disk{}", disk);
}

std::string overlay_node(const std::string& disk, const std::filesystem::path& overlay)
{
    const std::string number = overlay.stem().extension(); // ".3"
    return number.empty() ? disk : fmt::format("{}-{}", disk, number.substr(1));
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

Json top_overlay_node(const std::string& disk, const std::filesystem::path& overlay, const std::string& backing)
{
    Json node = qcow2_node(overlay_node(disk, overlay), overlay, false, backing);
    node["detect-zeroes"] = "unmap"; // zeroes that the guest writes take no space here
    return node;
}

std::vector<Json> overlay_nodes(const std::string& disk, const InstanceDisk& overlays, std::string backing)
{
    std::vector<Json> nodes;
    for (const std::filesystem::path& lower : overlays.lower) {
        Json node = qcow2_node(overlay_node(disk, lower), lower, true, backing);
        // QEMU only reads it until it is merged into. The file is open for both from the start: were it opened anew
        // then, the descriptor that only reads would go on to hold its lock (block_node.h).
        node["file"]["read-only"] = false;
        backing = node.at("node-name");
        nodes.push_back(std::move(node));
    }
    nodes.push_back(top_overlay_node(disk, overlays.overlay, backing));
    return nodes;
}

std::string_view cpu_model(Accelerator accelerator) noexcept
{
    // Under TCG every feature costs: Debian boots in 21 s on qemu64, in 28 s on max.
    return accelerator == Accelerator::kvm ? "host" : "qemu64";
}

// cloud-init and ds-identify look for EC2 only where the DMI's UUID and serial number are equal and start with
// "ec2". The rest is the instance's id, so that no two guests have the same one.
std::string system_uuid(std::string_view id)
{
    const std::string hex = fmt::format("ec2{}{}", id.substr(2), digest_of(id).hex());
    return fmt::format("{}-{}-4{}-8{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 3), hex.substr(15, 3),
                       hex.substr(18, 12));
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
        machine_of(instance),
        "-accel",
        kvm ? "kvm" : "tcg,thread=multi",
        "-cpu",
        std::string(cpu_model(instance.accelerator)),
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
        fmt::format("socket,id=console,path={},server=on,wait=off,logfile={},logappend=on",
                    option_value(paths.console_socket), option_value(paths.console)),
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
        "-smbios",
        fmt::format("type=1,manufacturer=Kiln,product={0},uuid={1},serial={1}", instance.type,
                    system_uuid(instance.id)),
        // systemd in the guest takes it as root's authorized_keys (systemd-tmpfiles, provision.conf).
        "-fw_cfg",
        fmt::format("name=opt/io.systemd.credentials/ssh.authorized_keys.root,file={}",
                    option_value(instance.key_name.empty() ? instance.ssh_key.native() + ".pub"
                                                           : paths.authorized_keys.native())),
    };
    if (instance.network != "none") {
        argv.insert(argv.end(), {"-netdev", network_socket(paths).dump(), "-device",
                                 fmt::format("virtio-net-pci,netdev=net,mac={},romfile=", mac_address(instance.id))});
    }
    if (has_own_memory(instance)) {
        add_memory(argv, instance, paths);
    }
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
    add_volumes(argv, instance.volumes);
    return argv;
}

} // namespace kiln::launcher
