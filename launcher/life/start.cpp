// SPDX-License-Identifier: Apache-2.0
// A stopped instance starts again, if its AMI may still be launched.
#include "launcher/life/start.h"

#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/process.h"
#include "core/text.h"
#include "launcher/control.h"
#include "launcher/instance_type.h"
#include "launcher/life/attendance.h"
#include "launcher/life/life.h"
#include "launcher/life/life_lock.h"
#include "launcher/metadata/identity.h"
#include "launcher/qemu_command.h"
#include "launcher/quota.h"
#include "launcher/snapshot/overlays.h"
#include "launcher/warm/clone_disks.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <thread>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;

constexpr std::chrono::seconds start_limit{60};

ByteSize available_memory()
{
    std::ifstream meminfo("/proc/meminfo");
    std::uint64_t kibibytes = 0;
    for (std::string key; meminfo >> key;) {
        if (key == "MemAvailable:" && meminfo >> kibibytes) {
            break;
        }
    }
    return ByteSize(kibibytes << 10U);
}

// The layers are those of the image that was just verified, not those of a record that anything could have written to.
void take_layers(Instance& instance, const registry::VerifiedImage& image)
{
    if (image.image().id != instance.image_id || image.region() != instance.region ||
        image.image().manifest.to_string() != instance.image_manifest) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("{} was launched from another image than {} is now", instance.id, instance.image_id),
                    "launch a new instance");
    }
    for (InstanceDisk& disk : instance.disks) {
        const auto& mappings = image.manifest().block_devices;
        const auto mapping = std::ranges::find(mappings, disk.device, &bundle::BlockDeviceMapping::device);
        if (mapping == mappings.end()) {
            throw Error(ErrorKind::untrusted, fmt::format("the AMI of {} has no disk {}", instance.id, disk.device));
        }
        disk.layers = image.layer_paths(*mapping);
        const auto is_there = [](const fs::path& file) { return fs::exists(file); };
        if (!std::ranges::all_of(overlays_of(disk), is_there)) {
            throw Error(ErrorKind::io, fmt::format("the disk {} of {} is missing", disk.device, instance.id));
        }
    }
}

// A type that is there no more costs what it did.
std::int64_t price_now(const Paths& paths, const Instance& instance)
{
    const std::vector<InstanceType> types = load_instance_types(user_types(paths));
    const auto type = std::ranges::find(types, instance.type, &InstanceType::name);
    return type == types.end() ? instance.price : type->price;
}

void make_pending(Instance& instance, const Paths& paths, const registry::VerifiedImage& image, Accelerator accelerator)
{
    take_layers(instance, image);
    instance.unsigned_image = image.unsigned_reason();
    instance.accelerator = accelerator;
    instance.price = price_now(paths, instance);
    if (instance.warm) { // its disks are its own
        instance.warm->start = WarmLaunch::Start::cold;
    }
    instance.state = InstanceState::pending;
    instance.state_reason.clear();
    instance.state_reason_code.clear();
}

// A clone that never got an identity of its own, as host or supervisor went down meanwhile, has its template's on its
// disks.
void drop_half_made_clone(const Instance& instance, const InstancePaths& files, const std::stop_token& stop)
{
    if (!instance.warm || instance.warm->start != WarmLaunch::Start::clone || !instance.started.empty()) {
        return;
    }
    make_disks_anew(instance, stop);
    update_record(files, [](Instance& now) {
        now.warm->start = WarmLaunch::Start::cold;
        now.warm->launched_warm = false;
        now.warm->reason = "it went down before it was a clone";
    });
}

void require_startable(const Instance& instance)
{
    if (instance.state != InstanceState::stopped) {
        throw Error(ErrorKind::conflict, fmt::format("{} is {}", instance.id, name_of(instance.state)),
                    instance.state == InstanceState::stopping
                        ? fmt::format("wait for it: `kiln instance wait --for stopped {}`", instance.id)
                        : "only a stopped instance starts");
    }
}

} // namespace

void require_programs(const std::string& boot_mode)
{
    require_program("qemu-system-x86_64", "qemu-system-x86");
    if (boot_mode == "uefi" && !(fs::exists(firmware_code) && fs::exists(firmware_variables))) {
        throw Error(ErrorKind::missing_tool, "the AMI boots with UEFI, and its firmware is not installed",
                    "apt-get install ovmf");
    }
}

void require_memory(const std::string& type, ByteSize memory, unsigned count)
{
    const ByteSize available = available_memory();
    const ByteSize needed(memory.bytes() * count);
    if (available != ByteSize() && available < needed) {
        throw Error(ErrorKind::launch,
                    fmt::format("{} {} of memory, and this host has {} available",
                                count == 1 ? fmt::format("a {} has", type) : fmt::format("{} {} have", count, type),
                                to_string(needed), to_string(available)),
                    "choose a smaller --type, or stop or terminate other instances");
    }
}

Json bill_of(const Instance& instance)
{
    Json volumes = Json::array();
    for (const InstanceDisk& disk : instance.disks) {
        if (disk.volume_id.empty()) { // a volume has a bill of its own
            volumes.push_back({{"device", disk.device}, {"bytes", disk.size.bytes()}});
        }
    }
    return {{"type", instance.type},         {"price_per_hour", price_text(instance.price)},
            {"image_id", instance.image_id}, {"name", instance.name ? Json(*instance.name) : Json()},
            {"tags", instance.tags},         {"volumes", volumes}};
}

void make_run_folder(const Paths& paths, const InstancePaths& files)
{
    make_private_directory(paths.run);
    make_directories(files.run, 0700);
}

void await_start(const Paths& paths, const std::string& id, const std::stop_token& stop)
{
    const InstancePaths files(paths, id);
    const auto deadline = std::chrono::steady_clock::now() + start_limit;
    Attendance attendance(paths, id);
    for (;;) {
        const bool attended = attendance.look();
        const Instance instance = load_record(files);
        if (instance.state == InstanceState::running) {
            return;
        }
        if (instance.state == InstanceState::stopped || !attended || std::chrono::steady_clock::now() > deadline) {
            const std::string log = fs::exists(files.supervisor_log) ? read_file(files.supervisor_log) : "";
            throw Error(ErrorKind::launch,
                        instance.state_reason.empty()
                            ? fmt::format("the supervisor did not start QEMU: {}", tail_in_one_line(log, 3))
                            : instance.state_reason);
        }
        throw_if_interrupted(stop);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

namespace
{

Instance see_through(const Paths& paths, const InstancePaths& files, const std::string& id, const std::stop_token& stop)
{
    try {
        await_start(paths, id, stop);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) { // it starts all the same
            throw;
        }
        wait_for_supervisor(files);
        settle(files, id);
        throw;
    }
    return load_record(files);
}

} // namespace

Instance start(const Paths& paths, const registry::VerifiedImage& image, const std::string& id, Accelerator accelerator,
               const std::stop_token& stop, const std::optional<signing::SecretKey>& account_key)
{
    const InstancePaths files(paths, id);
    const FileLock lock = lock_life(files, stop);
    Instance now = settle(files, id);
    if (now.state == InstanceState::running) {
        return now;
    }
    if (now.state == InstanceState::pending) { // a start that was begun, whose command or supervisor was killed
        return see_through(paths, files, id, stop);
    }
    require_startable(now);
    require_programs(now.boot_mode);
    require_memory(now.type, now.memory);
    require_free_space(paths.instances, mebibytes(256), "an instance");
    make_run_folder(paths, files);
    drop_half_made_clone(now, files, stop);
    const Instance pending = [&] {
        const FileLock quota(paths.home / "instances.lock", FileLock::Wait::block);
        require_quota(paths, now.vcpus, now.memory, 1);
        return update_record(files, [&](Instance& instance) {
            make_pending(instance, paths, image, accelerator);
            append_event(files, "pending", bill_of(instance));
        });
    }();
    write_identity(files.folder, pending, account_key);
    start_supervisor(paths, id);
    return see_through(paths, files, id, stop);
}

} // namespace kiln::launcher
