// SPDX-License-Identifier: Apache-2.0
// Makes an instance's folder and starts it, or leaves nothing.
#include "launcher/launch.h"

#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/control.h"
#include "launcher/instance_store.h"
#include "launcher/qemu_command.h"
#include "launcher/user_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <thread>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::chrono::seconds start_limit{60};

bool is_instance_name(std::string_view name)
{
    const auto inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    return !name.empty() && name.size() <= 63 && std::ranges::all_of(name, inner) && name.front() != '-' &&
           name.back() != '-' && !name.starts_with("i-");
}

void require_memory(const InstanceType& type)
{
    std::ifstream meminfo("/proc/meminfo");
    std::uint64_t kibibytes = 0;
    for (std::string key; meminfo >> key;) {
        if (key == "MemAvailable:" && meminfo >> kibibytes) {
            break;
        }
    }
    const ByteSize available(kibibytes << 10U);
    if (kibibytes != 0 && available < type.memory) {
        throw Error(ErrorKind::launch,
                    fmt::format("a {} has {} of memory, and this host has {} available", type.name,
                                to_string(type.memory), to_string(available)),
                    "choose a smaller --type, or terminate other instances");
    }
}

void require_free_name(const Paths& paths, const std::string& name)
{
    if (!is_instance_name(name)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not an instance name", printable(name, false)),
                    "use up to 63 lower-case letters, digits and inner hyphens, not starting with i-");
    }
    for (const Instance& instance : list_instances(paths)) {
        if (instance.name == name) {
            throw Error(ErrorKind::conflict, fmt::format("the name {} is taken by the instance {}", name, instance.id),
                        fmt::format("choose another name, or `kiln instance terminate {}`", name));
        }
    }
}

Instance describe(const registry::VerifiedImage& image, const LaunchRequest& request)
{
    Instance instance;
    instance.id = random_resource_id("i-");
    instance.name = request.name;
    instance.region = image.region();
    instance.image_id = image.image().id;
    instance.image_name = image.image().name;
    instance.image_version = image.image().version.to_string();
    instance.image_manifest = image.image().manifest.to_string();
    instance.unsigned_image = image.unsigned_reason();
    instance.type = request.type.name;
    instance.vcpus = request.type.vcpus;
    instance.memory = request.type.memory;
    instance.accelerator = request.accelerator;
    instance.boot_mode = image.manifest().boot_mode;
    instance.user_data = request.user_data.has_value();
    instance.account_id = request.account_id;
    instance.metadata = request.metadata;
    instance.launched = iso_now();
    for (const bundle::BlockDeviceMapping& mapping : image.manifest().block_devices) {
        InstanceDisk disk;
        disk.device = mapping.device;
        disk.size = volume_size(mapping, request.volumes);
        disk.delete_on_termination = mapping.delete_on_termination;
        disk.layers = image.layer_paths(mapping);
        instance.disks.push_back(std::move(disk));
    }
    return instance;
}

// Everything the instance needs on disk, in `staging`; the paths in the record are those after the move.
void fill_folder(const fs::path& staging, Instance& instance, const InstancePaths& paths, const LaunchRequest& request,
                 const std::stop_token& stop)
{
    make_directories(staging / "disks", 0700);
    make_directories(staging / "ssh", 0700);
    for (std::size_t i = 0; i < instance.disks.size(); ++i) {
        const std::string file = fmt::format("disk{}.qcow2", i);
        run_or_throw({.argv = {"qemu-img", "create", "-q", "-f", "qcow2", (staging / "disks" / file).native(),
                               std::to_string(instance.disks[i].size.bytes())}},
                     "creating the instance's disk", stop);
        instance.disks[i].overlay = paths.disks / file;
    }
    if (instance.boot_mode == "uefi") {
        write_file_durably(staging / paths.firmware_variables.filename(), read_file(firmware_variables), 0600);
    }
    // Sealing a snapshot looks for this very comment.
    run_or_throw({.argv = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kiln-launch-key " + instance.id, "-f",
                           (staging / "ssh" / "id_ed25519").native()}},
                 "making the launch key", stop);
    instance.ssh_key = paths.ssh / "id_ed25519";
    if (request.user_data) {
        write_file_durably(staging / paths.user_data.filename(), *request.user_data, 0600);
    }
    write_file_durably(staging / "instance.json", to_json(instance).dump(2) + "\n", 0600);
}

// Returns when the supervisor answers. Throws what kept QEMU from starting.
void wait_until_started(const Paths& paths, const std::string& id, const std::stop_token& stop)
{
    const InstancePaths files(paths, id);
    const auto deadline = std::chrono::steady_clock::now() + start_limit;
    for (;;) {
        const Instance instance = load_record(files);
        if (instance.state == InstanceState::running) {
            return;
        }
        if (instance.state == InstanceState::stopped || std::chrono::steady_clock::now() > deadline) {
            const std::string log = fs::exists(files.supervisor_log) ? read_file(files.supervisor_log) : "";
            throw Error(ErrorKind::launch,
                        instance.state_reason.empty()
                            ? fmt::format("the supervisor did not start QEMU: {}", tail_in_one_line(log, 3))
                            : instance.state_reason);
        }
        if (stop.stop_requested()) {
            throw Error(ErrorKind::interrupted, "interrupted");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

} // namespace

Instance launch(const Paths& paths, const registry::VerifiedImage& image, const LaunchRequest& request,
                const std::stop_token& stop)
{
    require_program("qemu-system-x86_64", "qemu-system-x86");
    require_program("ssh-keygen", "openssh-client");
    if (image.manifest().boot_mode == "uefi" && !(fs::exists(firmware_code) && fs::exists(firmware_variables))) {
        throw Error(ErrorKind::missing_tool, "the AMI boots with UEFI, and its firmware is not installed",
                    "apt-get install ovmf");
    }
    require_volume_sizes(image.manifest().block_devices, request.volumes);
    require_memory(request.type);
    if (request.user_data) {
        require_user_data(*request.user_data);
    }
    make_directories(paths.home, 0700);
    make_directories(paths.instances, 0700);
    make_private_directory(paths.run);
    require_free_space(paths.instances, mebibytes(256), "an instance");

    Instance instance = describe(image, request);
    const InstancePaths files(paths, instance.id);
    {
        WorkFolder::sweep_abandoned(paths.work);
        make_directories(paths.work, 0700);
        const WorkFolder staging(paths.work, "launch-");
        fill_folder(staging.path() / "instance", instance, files, request, stop);
        const FileLock lock(paths.home / "instances.lock", FileLock::Wait::block);
        if (request.name) {
            require_free_name(paths, *request.name);
        }
        make_directories(files.run, 0700);
        fs::rename(staging.path() / "instance", files.folder);
        sync_directory(paths.instances);
    }
    try {
        append_event(files, "pending",
                     {{"image_id", instance.image_id},
                      {"type", instance.type},
                      {"unsigned_image", instance.unsigned_image ? Json(*instance.unsigned_image) : Json()}});
        start_supervisor(paths, instance.id);
        wait_until_started(paths, instance.id, stop);
    } catch (...) {
        terminate(paths, instance);
        throw;
    }
    return load_record(files);
}

} // namespace kiln::launcher
