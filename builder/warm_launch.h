// SPDX-License-Identifier: Apache-2.0
// A libguestfs launch that runs a WarmMachine instead of libguestfs's own, through QEMU's wrapper.
#pragma once

#include "builder/guestfs_handle.h"
#include "builder/warm_machine.h"
#include "core/qmp_client.h"

#include <filesystem>
#include <memory>

namespace kiln::builder
{

class WarmLaunch
{
public:
    // Makes the folder `launch` with what the wrapper needs. The machine's folder has the wrapper.
    WarmLaunch(WarmMachine machine, std::filesystem::path launch);

    // Launches `handle`; the machine's saved state is then being loaded, if it has one. Throws Error{launch}.
    void start(guestfs_h* handle);
    // Saves the machine to the template's folder and ends it. Throws Error{launch, io, no_space}.
    void save();

    // Gives the running guest its own random numbers, the time, and the disks. Throws Error{launch}.
    void wake(guestfs_h* handle) const;
    // Where the program that does it is in the guest.
    static constexpr const char* wake_path = "/sbin/kiln-wake";

private:
    WarmMachine machine_;
    std::filesystem::path folder_;
    std::unique_ptr<QmpClient> monitor_;
};

} // namespace kiln::builder
