// SPDX-License-Identifier: Apache-2.0
#include "builder/appliance.h"

#include "builder/guestfs_handle.h"
#include "builder/warm_launch.h"
#include "builder/warm_template.h"
#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/process.h"

#include <fmt/format.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

std::vector<char*> as_argv(const std::vector<std::string>& strings)
{
    std::vector<char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (const std::string& string : strings) {
        pointers.push_back(const_cast<char*>(string.c_str()));
    }
    pointers.push_back(nullptr);
    return pointers;
}

constexpr std::chrono::seconds wake_limit{30}; // twenty times what it takes

void add_drives(guestfs_h* handle, const std::vector<ApplianceDrive>& drives)
{
    std::size_t index = 0;
    for (const ApplianceDrive& drive : drives) {
        struct guestfs_add_drive_opts_argv arguments {
        };
        arguments.bitmask = GUESTFS_ADD_DRIVE_OPTS_FORMAT_BITMASK | GUESTFS_ADD_DRIVE_OPTS_DISCARD_BITMASK |
                            GUESTFS_ADD_DRIVE_OPTS_CACHEMODE_BITMASK | GUESTFS_ADD_DRIVE_OPTS_LABEL_BITMASK |
                            GUESTFS_ADD_DRIVE_OPTS_PROTOCOL_BITMASK | GUESTFS_ADD_DRIVE_OPTS_SERVER_BITMASK;
        arguments.format = "raw"; // never probed: a guest could write another format's magic
        arguments.discard = "besteffort";
        const std::string label = label_of(index++);
        arguments.label = label.c_str();
        arguments.cachemode = "unsafe"; // made durable at publishing; a killed build is thrown away
        const std::string server = "unix:" + drive.socket.native();
        char* servers[] = {const_cast<char*>(server.c_str()), nullptr};
        arguments.protocol = "nbd";
        arguments.server = servers;
        if (guestfs_add_drive_opts_argv(handle, drive.export_name.c_str(), &arguments) == -1) {
            throw Error(ErrorKind::step_failed,
                        fmt::format("adding the disk {}: {}", drive.export_name, last_error(handle)));
        }
    }
}

GuestfsHandle launch_warm(const ApplianceOptions& options, const std::vector<ApplianceDrive>& drives,
                          const std::stop_token& stop)
{
    const TemplateInputs inputs = find_template_inputs(options.accelerator, options.network, stop);
    const Template saved = ensure_template(options.warm, inputs, options.temporary, stop);
    GuestfsHandle handle = make_handle(options.accelerator, options.network, options.temporary);
    const ApplianceWatchdog watchdog(wake_limit);
    try {
        WarmLaunch launch({.mode = WarmMachine::Mode::restore,
                           .qemu = find_program("qemu-system-x86_64").value(),
                           .folder = saved.folder,
                           .accelerator = options.accelerator,
                           .cpus = inputs.cpus,
                           .memory_mib = inputs.memory_mib,
                           .network = options.network,
                           .drives = drives},
                          options.temporary / "warm-launch");
        launch.start(handle.get());
        launch.wake(handle.get());
    } catch (const Error&) {
        kill_appliance_processes(); // closing the handle would wait for it
        if (!stop.stop_requested()) {
            remove_template(options.warm, inputs); // the next launch makes another
        }
        throw;
    }
    return handle;
}

GuestfsHandle launch_stock(const ApplianceOptions& options, const std::vector<ApplianceDrive>& drives)
{
    GuestfsHandle handle = make_handle(options.accelerator, options.network, options.temporary);
    add_drives(handle.get(), drives);
    if (guestfs_launch(handle.get()) == -1) {
        throw Error(ErrorKind::missing_tool,
                    fmt::format("libguestfs can't start its appliance: {}", last_error(handle.get())),
                    "run `kiln doctor`; `libguestfs-test-tool` shows the whole log");
    }
    return handle;
}

} // namespace

struct Appliance::State {
    GuestfsHandle handle;
    fs::path temporary;
    std::string stock_reason;
    bool warm = false;
    std::stop_token stop;
    std::optional<std::stop_callback<void (*)()>> on_stop;

    [[nodiscard]] guestfs_h* get() const { return handle.get(); }

    [[noreturn]] void fail(ErrorKind kind, std::string_view doing) const
    {
        throw_if_interrupted(stop);
        const std::string text = last_error(get());
        const bool full = text.find("No space left on device") != std::string::npos;
        throw Error(full ? ErrorKind::no_space : kind, fmt::format("{}: {}", doing, text),
                    full ? "the volume is too small for its content: raise storage.size in the recipe" : "");
    }

    void check(int result, std::string_view doing) const
    {
        if (result == -1) {
            fail(ErrorKind::step_failed, doing);
        }
    }
};

Appliance::Appliance(const ApplianceOptions& options, const std::vector<ApplianceDrive>& drives,
                     const std::stop_token& stop)
    : state_(std::make_unique<State>())
{
    state_->stop = stop;
    state_->temporary = options.temporary;
    state_->on_stop.emplace(state_->stop, kill_appliance_processes);
    if (!options.warm.empty()) {
        try {
            state_->handle = launch_warm(options, drives, stop);
            state_->warm = true;
            return;
        } catch (const std::exception& error) {
            throw_if_interrupted(stop);
            state_->stock_reason = error.what();
        }
    }
    try {
        state_->handle = launch_stock(options, drives);
    } catch (const Error&) {
        throw_if_interrupted(stop);
        throw;
    }
}

const std::string& Appliance::stock_reason() const noexcept
{
    return state_->stock_reason;
}

bool Appliance::started_warm() const noexcept
{
    return state_->warm;
}

Appliance::~Appliance() = default;

void Appliance::make_gpt(const std::string& device)
{
    state_->check(guestfs_part_init(state_->get(), device.c_str(), "gpt"), "writing the partition table");
}

void Appliance::add_partition(const std::string& device, std::uint64_t first_sector, std::uint64_t last_sector,
                              const std::string& gpt_type)
{
    guestfs_h* handle = state_->get();
    state_->check(guestfs_part_add(handle, device.c_str(), "primary", static_cast<std::int64_t>(first_sector),
                                   static_cast<std::int64_t>(last_sector)),
                  "adding a partition");
    const std::unique_ptr<guestfs_partition_list, decltype(&guestfs_free_partition_list)> partitions(
        guestfs_part_list(handle, device.c_str()), guestfs_free_partition_list);
    if (!partitions) {
        state_->fail(ErrorKind::step_failed, "listing the partitions");
    }
    state_->check(
        guestfs_part_set_gpt_type(handle, device.c_str(), static_cast<int>(partitions->len), gpt_type.c_str()),
        "setting a partition's type");
}

void Appliance::mount(const std::string& device, const std::string& mount_point)
{
    state_->check(guestfs_mount(state_->get(), device.c_str(), mount_point.c_str()),
                  fmt::format("mounting {} at {}", device, mount_point));
}

void Appliance::unmount_all()
{
    state_->check(guestfs_umount_all(state_->get()), "unmounting the disks");
    state_->check(guestfs_sync(state_->get()), "flushing the disks");
}

void Appliance::write_file(const std::string& path, std::string_view content)
{
    constexpr std::size_t largest_message = 1 << 20; // libguestfs's protocol ends a little above 2 MiB
    if (content.size() > largest_message) {
        const fs::path file = state_->temporary / "upload";
        write_file_durably(file, content, 0600);
        state_->check(guestfs_upload(state_->get(), file.c_str(), path.c_str()), fmt::format("writing {}", path));
        fs::remove(file);
        return;
    }
    state_->check(guestfs_write(state_->get(), path.c_str(), content.data(), content.size()),
                  fmt::format("writing {}", path));
}

std::string Appliance::read_file(const std::string& path)
{
    constexpr std::int64_t limit = 16 << 20;
    const std::int64_t size = guestfs_filesize(state_->get(), path.c_str());
    if (size < 0 || size > limit) {
        if (size < 0) {
            state_->fail(ErrorKind::step_failed, fmt::format("reading {}", path));
        }
        throw Error(ErrorKind::step_failed, fmt::format("{} in the image is larger than 16 MiB", path));
    }
    std::size_t length = 0;
    const String bytes(guestfs_read_file(state_->get(), path.c_str(), &length));
    if (!bytes) {
        state_->fail(ErrorKind::step_failed, fmt::format("reading {}", path));
    }
    return {bytes.get(), length};
}

void Appliance::set_mode(const std::string& path, std::uint32_t mode)
{
    state_->check(guestfs_chmod(state_->get(), static_cast<int>(mode), path.c_str()),
                  fmt::format("setting the mode of {}", path));
}

void Appliance::make_directories(const std::string& path)
{
    state_->check(guestfs_mkdir_p(state_->get(), path.c_str()), fmt::format("creating {}", path));
}

bool Appliance::exists(const std::string& path)
{
    const int result = guestfs_exists(state_->get(), path.c_str());
    state_->check(result, fmt::format("looking for {}", path));
    return result == 1;
}

bool Appliance::is_file(const std::string& path)
{
    struct guestfs_is_file_opts_argv arguments {
    };
    const int result = guestfs_is_file_opts_argv(state_->get(), path.c_str(), &arguments);
    state_->check(result, fmt::format("looking for {}", path));
    return result == 1;
}

std::string Appliance::device_in_guest(std::size_t drive)
{
    std::string device = run({"readlink", "-f", "/dev/disk/guestfs/" + label_of(drive)});
    device.erase(device.find_last_not_of('\n') + 1);
    return device;
}

std::vector<std::string> Appliance::glob(const std::string& pattern)
{
    const StringList list(guestfs_glob_expand(state_->get(), pattern.c_str()));
    if (!list) {
        state_->fail(ErrorKind::step_failed, fmt::format("looking for {}", pattern));
    }
    std::vector<std::string> paths;
    for (char** entry = list.get(); *entry != nullptr; ++entry) {
        paths.emplace_back(*entry);
    }
    return paths;
}

void Appliance::remove_recursively(const std::string& path)
{
    state_->check(guestfs_rm_rf(state_->get(), path.c_str()), fmt::format("removing {}", path));
}

void Appliance::truncate(const std::string& path)
{
    state_->check(guestfs_truncate(state_->get(), path.c_str()), fmt::format("emptying {}", path));
}

void Appliance::unpack_tar(const fs::path& tar, const std::string& folder)
{
    struct guestfs_tar_in_opts_argv arguments {
    };
    state_->check(guestfs_tar_in_opts_argv(state_->get(), tar.c_str(), folder.c_str(), &arguments),
                  fmt::format("unpacking files into {}", folder));
}

std::string Appliance::run(const std::vector<std::string>& argv)
{
    const String output(guestfs_command(state_->get(), as_argv(argv).data()));
    if (!output) {
        state_->fail(ErrorKind::step_failed, fmt::format("running {} in the image", argv.at(0)));
    }
    return output.get();
}

void Appliance::trim(const std::string& mount_point)
{
    // A discard is a hint, which qcow2 takes for whole clusters only. As WRITE SAME it is an order.
    constexpr const char* script = "for mode in /sys/class/scsi_disk/*/provisioning_mode; do"
                                   " echo writesame_16 > $mode; grep -q writesame_16 $mode || exit 1; done";
    const char* argv[] = {script, nullptr};
    const String output(guestfs_debug(state_->get(), "sh", const_cast<char**>(argv)));
    if (!output) {
        state_->fail(ErrorKind::step_failed, "choosing how free blocks are cleared");
    }
    struct guestfs_fstrim_argv arguments {
    };
    state_->check(guestfs_fstrim_argv(state_->get(), mount_point.c_str(), &arguments), "clearing free blocks");
}

void Appliance::shutdown()
{
    unmount_all();
    state_->check(guestfs_shutdown(state_->get()), "shutting the appliance down");
    state_->on_stop.reset();
}

} // namespace kiln::builder
