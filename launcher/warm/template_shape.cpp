// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/template_shape.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/host_cpu.h"
#include "core/process.h"
#include "core/text.h"
#include "launcher/qemu_command.h"
#include "launcher/warm/clone_agent_program.h"

#include <fmt/format.h>

#include <cerrno>
#include <sys/stat.h>

namespace kiln::launcher
{
namespace
{

constexpr int shape_format = 1; // raise it when what a template consists of changes
constexpr const char* program = "qemu-system-x86_64";
constexpr std::string_view shape_what = "the shape of a template";
constexpr std::string_view nobody = "i-00000000000000000";

// As if it were nobody's, without disks' files: what is left is the machine.
std::string devices_of(Instance instance)
{
    instance.id = nobody;
    instance.ssh_key = "key";
    instance.key_name.clear();
    instance.warm = WarmLaunch{.start = WarmLaunch::Start::making_template};
    for (InstanceDisk& disk : instance.disks) {
        disk.overlay = "overlay";
        disk.layers.clear();
        disk.lower.clear();
    }
    return digest_of(join(qemu_argv(instance, InstancePaths(Paths{}, instance.id)), "\n")).to_string();
}

std::string machine_text(const TemplateShape& shape)
{
    return fmt::format("{} with {} vCPUs and {}", shape.type, shape.vcpus, to_string(shape.memory));
}

} // namespace

std::string find_qemu_identity()
{
    const auto path = find_program(program);
    struct stat status {
    };
    if (!path || ::stat(path->c_str(), &status) != 0) {
        throw Error(ErrorKind::missing_tool, fmt::format("the program {} is not installed", program),
                    "run `kiln doctor`, which names the Debian package that has it");
    }
    // Asking for its version takes a tenth of the time of a warm launch; its size and time tell a new one apart as
    // well.
    return fmt::format("{} {} {}.{:09}", path->native(), status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

TemplateShape shape_of(const Instance& instance, const std::string& qemu)
{
    TemplateShape shape;
    shape.image_manifest = instance.image_manifest;
    shape.qemu = qemu;
    shape.machine = machine_type;
    shape.cpu = instance.accelerator == Accelerator::kvm
                    ? fmt::format("{} {}", cpu_model(instance.accelerator), host_cpu())
                    : std::string(cpu_model(instance.accelerator));
    shape.accelerator = instance.accelerator;
    shape.type = instance.type;
    shape.vcpus = instance.vcpus;
    shape.memory = instance.memory;
    shape.boot_mode = instance.boot_mode;
    for (const InstanceDisk& disk : instance.disks) {
        shape.volumes.emplace_back(disk.device, disk.size);
    }
    shape.devices = devices_of(instance);
    shape.agent = digest_of(clone_agent_program()).to_string();
    return shape;
}

Json to_json(const TemplateShape& shape)
{
    Json volumes = Json::array();
    for (const auto& [device, size] : shape.volumes) {
        volumes.push_back({{"device", device}, {"size", size.bytes()}});
    }
    return {{"format", shape_format},
            {"image_manifest", shape.image_manifest},
            {"qemu", shape.qemu},
            {"machine", shape.machine},
            {"cpu", shape.cpu},
            {"accelerator", name_of(shape.accelerator)},
            {"type", shape.type},
            {"vcpus", shape.vcpus},
            {"memory", shape.memory.bytes()},
            {"boot_mode", shape.boot_mode},
            {"volumes", volumes},
            {"devices", shape.devices},
            {"agent", shape.agent}};
}

TemplateShape shape_from_json(const Json& json)
{
    if (integer_member(json, "format", shape_what) != shape_format) {
        throw Error(ErrorKind::io, "the template was made by another version of Kiln");
    }
    TemplateShape shape;
    shape.image_manifest = string_member(json, "image_manifest", shape_what);
    shape.qemu = string_member(json, "qemu", shape_what);
    shape.machine = string_member(json, "machine", shape_what);
    shape.cpu = string_member(json, "cpu", shape_what);
    const auto accelerator = parse_accelerator(string_member(json, "accelerator", shape_what));
    if (!accelerator) {
        throw Error(ErrorKind::io, fmt::format("{}: \"accelerator\" is none", shape_what));
    }
    shape.accelerator = *accelerator;
    shape.type = string_member(json, "type", shape_what);
    shape.vcpus = static_cast<unsigned>(integer_member(json, "vcpus", shape_what));
    shape.memory = ByteSize(static_cast<std::uint64_t>(integer_member(json, "memory", shape_what)));
    shape.boot_mode = string_member(json, "boot_mode", shape_what);
    for (const Json& volume : member(json, "volumes", shape_what)) {
        shape.volumes.emplace_back(string_member(volume, "device", shape_what),
                                   ByteSize(static_cast<std::uint64_t>(integer_member(volume, "size", shape_what))));
    }
    shape.devices = string_member(json, "devices", shape_what);
    shape.agent = string_member(json, "agent", shape_what);
    return shape;
}

std::string template_id_of(const TemplateShape& shape)
{
    return digest_of(canonical_json(to_json(shape))).hex().substr(0, 24);
}

std::vector<std::string> differences(const TemplateShape& found, const TemplateShape& wanted)
{
    std::vector<std::string> clauses;
    const auto compare = [&](bool same, std::string clause) {
        if (!same) {
            clauses.push_back(std::move(clause));
        }
    };
    compare(found.image_manifest == wanted.image_manifest, "it is of another AMI");
    compare(found.type == wanted.type && found.vcpus == wanted.vcpus && found.memory == wanted.memory,
            fmt::format("it is for a {}, not a {}", machine_text(found), machine_text(wanted)));
    compare(found.accelerator == wanted.accelerator,
            fmt::format("it was made with {}, and this host has {}", name_of(found.accelerator),
                        name_of(wanted.accelerator)));
    compare(found.qemu == wanted.qemu, "it was made with another QEMU");
    compare(found.machine == wanted.machine && found.boot_mode == wanted.boot_mode, "it has another machine type");
    compare(found.cpu == wanted.cpu || found.accelerator != wanted.accelerator, "it was made on another CPU");
    compare(found.volumes == wanted.volumes, "its volumes have other sizes");
    compare(found.agent == wanted.agent, "another version of Kiln made it");
    // Each of the others changes the devices as well.
    compare(found.devices == wanted.devices || !clauses.empty(), "it has other devices");
    return clauses;
}

} // namespace kiln::launcher
