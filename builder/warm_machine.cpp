// SPDX-License-Identifier: Apache-2.0
// The devices and the clock settings are those of libguestfs's direct backend, except that the appliance's own root
// is a virtio-blk disk: the first SCSI disk is then the caller's, /dev/sda.
#include "builder/warm_machine.h"

#include "core/json.h"
#include "core/text.h"

#include <fmt/format.h>

#include <utility>

namespace kiln::builder
{
namespace
{

// NBD with `raw` on top is what libguestfs asks for; the guest's bytes are never probed for a format.
std::string block_device(const ApplianceDrive& drive, const std::string& node)
{
    return Json{{"driver", "nbd"},
                {"node-name", node},
                {"server", {{"type", "unix"}, {"path", drive.socket.native()}}},
                {"export", drive.export_name},
                {"discard", "unmap"},
                {"cache", {{"direct", false}, {"no-flush", true}}}}
        .dump();
}

// TCG's cache of translated code, by default as large as the guest's memory. A write into a page that once held code
// looks through what was translated of it, and free memory is made of such pages after each unmounting: it took 20 s
// to clear the pages of the first program that got them. The cache is emptied when it is full; what
// update-grub runs fills this one once, and half of it took as long.
constexpr int translations_mib = 64;

} // namespace

std::string_view warm_cpu_model(Accelerator accelerator)
{
    return accelerator == Accelerator::tcg ? "max,la57=off,erms=off,fsrm=off" : "max";
}

std::vector<std::string> warm_machine_argv(const WarmMachine& machine)
{
    const bool restore = machine.mode == WarmMachine::Mode::restore;
    const auto file = [&](const char* name) { return machine.folder / name; };
    std::vector<std::string> argv{machine.qemu.native()};
    const auto add = [&](std::string option, std::string value) {
        argv.push_back(std::move(option));
        argv.push_back(std::move(value));
    };
    argv.insert(argv.end(), {"-no-user-config", "-nodefaults", "-no-reboot", "-no-hpet"});
    add("-display", "none");
    add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add("-machine", fmt::format("{},graphics=off,memory-backend=ram", warm_machine_type));
    add("-accel", machine.accelerator == Accelerator::tcg ? fmt::format("tcg,tb-size={}", translations_mib)
                                                          : std::string(name_of(machine.accelerator)));
    add("-cpu", std::string(warm_cpu_model(machine.accelerator)));
    add("-smp", fmt::format("{}", machine.cpus));
    add("-m", fmt::format("{}", machine.memory_mib));
    // A restored machine maps the same file privately: its pages are shared until it writes to them.
    add("-object", fmt::format("memory-backend-file,id=ram,size={}M,mem-path={},share={}", machine.memory_mib,
                               option_value(file("ram")), restore ? "off" : "on"));
    add("-rtc", "driftfix=slew");
    add("-global", "kvm-pit.lost_tick_policy=discard");
    add("-kernel", file("kernel"));
    add("-initrd", file("initrd"));
    add("-append", "@append@");
    add("-object", "rng-random,filename=/dev/urandom,id=rng0");
    add("-device", "virtio-rng-pci,rng=rng0");
    add("-device", "virtio-scsi-pci,id=scsi,hotplug=off");
    add("-drive", fmt::format("file={},format=raw,if=none,id=appliance,cache=unsafe,snapshot={}",
                              option_value(file("root")), restore ? "on" : "off"));
    add("-device", "virtio-blk-pci,drive=appliance");
    add("-device", "virtio-serial-pci");
    add("-serial", "stdio"); // libguestfs reads the appliance's console there
    add("-chardev", "socket,id=channel0,fd=11");
    add("-device", "virtserialport,chardev=channel0,name=org.libguestfs.channel.0");
    add("-chardev", "socket,id=monitor,fd=12,server=on,wait=off");
    add("-mon", "chardev=monitor,mode=control");
    if (machine.network) {
        add("-netdev", "user,id=usernet,net=169.254.0.0/16");
        add("-device", "virtio-net-pci,netdev=usernet,romfile=");
    }
    for (std::size_t i = 0; i < machine.drives.size(); ++i) {
        const std::string node = fmt::format("hd{}", i);
        add("-blockdev", block_device(machine.drives[i], node));
        add("-device", fmt::format("scsi-hd,bus=scsi.0,scsi-id={},drive={},serial={}", i, node, label_of(i)));
    }
    if (restore) {
        add("-incoming", "defer");
    }
    return argv;
}

std::string wrapper_plan(const WarmMachine& machine)
{
    std::string plan = machine.mode == WarmMachine::Mode::restore ? "restore" : "save";
    plan += '\0';
    for (const std::string& argument : warm_machine_argv(machine)) {
        plan += argument;
        plan += '\0';
    }
    return plan;
}

} // namespace kiln::builder
