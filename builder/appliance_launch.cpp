// SPDX-License-Identifier: Apache-2.0
// How the appliance comes up: from a saved one where it can, else the stock way.
#include "builder/appliance_state.h"

#include "builder/guestfs_handle.h"
#include "builder/warm_launch.h"
#include "builder/warm_template.h"
#include "core/interrupt.h"
#include "core/process.h"

#include <chrono>

namespace kiln::builder
{
namespace
{

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

Appliance::Appliance(const ApplianceOptions& options, const std::vector<ApplianceDrive>& drives,
                     const std::stop_token& stop)
    : state_(std::make_unique<State>())
{
    state_->stop = stop;
    state_->temporary = options.temporary;
    state_->transfer = options.transfer;
    state_->drives = drives.size() - (options.transfer ? 1 : 0);
    state_->transfer_label = label_of(drives.size() - 1);
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

} // namespace kiln::builder
