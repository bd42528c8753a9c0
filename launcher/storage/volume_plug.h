// SPDX-License-Identifier: Apache-2.0
// Internal: the supervisor's hand on volumes of a running QEMU. A volume's device has the volume's id as its name, and
// its block nodes are called after it (block_nodes.h). Source: QEMU's QAPI reference (7.2) for blockdev-add,
// device_add, device_del. Safe for several threads as long as one at a time has a volume.
#pragma once

#include "core/qmp_client.h"
#include "launcher/instance.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace kiln::launcher
{

// How many volumes can come and go while a guest runs: each needs a port of its own, which is there from the start.
inline constexpr unsigned hot_ports = 16;
[[nodiscard]] std::string hot_port(unsigned number); // "hot0"

class VolumePlug
{
public:
    explicit VolumePlug(QmpClient& qmp) : qmp_(qmp) {}

    // The guest has it then. Nothing happens when it does already. Throws Error{conflict} when no port is free or the
    // guest still holds what was cut off, {launch} with QEMU's words.
    void plug(const InstanceDisk& volume);
    // Whether the guest has it.
    [[nodiscard]] bool plugged(const std::string& id);
    // Asks the guest to let go of it, again every few seconds, until it has or `patience` is over. Returns whether it
    // has: then QEMU has closed the file. Throws Error{interrupted} when `cancelled`.
    bool unplug(const std::string& id, std::chrono::milliseconds patience, const std::function<bool()>& cancelled);
    // Takes the disk away from under the device, whose reads and writes fail from now on. The device itself goes when
    // the guest lets go of it, or reboots.
    void cut_off(const std::string& id);
    // Tells the guest, too. Only larger. `disk`: the volume's id, or "disk1" of one in the place of an AMI's device.
    void resize(const std::string& disk, std::uint64_t bytes);

private:
    [[nodiscard]] bool has_device(const std::string& id);
    void close(const std::string& id);

    QmpClient& qmp_;
};

} // namespace kiln::launcher
