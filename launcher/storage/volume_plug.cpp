// SPDX-License-Identifier: Apache-2.0
#include "launcher/storage/volume_plug.h"

#include "core/error.h"
#include "core/text.h"
#include "launcher/qemu_command.h"
#include "launcher/storage/block_nodes.h"
#include "launcher/storage/volume.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds ask_again{5}; // a guest that is still booting misses the first time
constexpr milliseconds look_again{20};
constexpr int close_attempts = 100; // the node is free a moment after the device has gone

// What is below a device that was cut off.
std::string stub_node(const std::string& id)
{
    return "cut-" + id.substr(4);
}

} // namespace

std::string hot_port(unsigned number)
{
    return fmt::format("hot{}", number);
}

void VolumePlug::plug(const InstanceDisk& volume)
{
    const std::string& id = volume.volume_id;
    if (has_device(id) && nodes_of(qmp_, id).empty()) {
        throw Error(ErrorKind::conflict, fmt::format("the guest has not let go of {}, which was taken from it", id),
                    "reboot the guest, or attach it to another instance");
    }
    if (has_device(id)) {
        return;
    }
    remove_node(qmp_, stub_node(id)); // of a time before
    close(id);                        // the same
    const std::vector<Json> nodes = overlay_nodes(id, volume, "");
    try {
        for (const Json& node : nodes) {
            add_node(qmp_, node);
        }
    } catch (const Error&) {
        close(id);
        throw;
    }
    std::string refusal;
    bool taken = true; // all ports
    for (unsigned port = 0; port < hot_ports && taken; ++port) {
        try {
            qmp_.execute("device_add", {{"driver", "virtio-blk-pci"},
                                        {"id", id},
                                        {"drive", nodes.back().at("node-name")},
                                        {"bus", hot_port(port)},
                                        {"serial", volume_serial(id)}});
            return;
        } catch (const Error& error) { // QEMU has no word for it but these
            refusal = error.message();
            taken = refusal.find("occupied") != std::string::npos || refusal.find("in use") != std::string::npos;
        }
    }
    close(id);
    if (taken) {
        throw Error(ErrorKind::conflict,
                    fmt::format("the instance has {} volumes, and no place for another", hot_ports),
                    "detach one first");
    }
    const bool old = refusal.find("not found") != std::string::npos;
    throw Error(ErrorKind::launch, refusal,
                old ? "an older Kiln started the instance; stop it and start it again" : "");
}

bool VolumePlug::plugged(const std::string& id)
{
    return has_device(id) && !nodes_of(qmp_, id).empty();
}

bool VolumePlug::unplug(const std::string& id, milliseconds patience, const std::function<bool()>& cancelled)
{
    const auto deadline = steady_clock::now() + patience;
    auto ask = steady_clock::now();
    while (plugged(id)) { // what was cut off is the guest's to let go of
        const auto now = steady_clock::now();
        if (now >= deadline) {
            return false;
        }
        if (cancelled()) {
            throw Error(ErrorKind::interrupted, "interrupted");
        }
        if (now >= ask) {
            try {
                qmp_.execute("device_del", {{"id", id}});
            } catch (const Error&) { // it is about to go, or went meanwhile
            }
            ask = now + ask_again;
        }
        std::this_thread::sleep_for(look_again);
    }
    close(id);
    return true;
}

void VolumePlug::cut_off(const std::string& id)
{
    if (!plugged(id)) {
        close(id);
        return;
    }
    if (nodes_of(qmp_, stub_node(id)).empty()) {
        // A disk of no bytes: whatever the guest reads or writes is beyond its end.
        add_node(qmp_, {{"driver", "null-co"}, {"node-name", stub_node(id)}, {"size", 0}});
    }
    qmp_.execute("qom-set", {{"path", "/machine/peripheral/" + id}, {"property", "drive"}, {"value", stub_node(id)}});
    close(id);
}

void VolumePlug::resize(const std::string& disk, std::uint64_t bytes)
{
    const auto tops = top_nodes(qmp_, {disk});
    if (tops.empty()) {
        throw Error(ErrorKind::launch, fmt::format("the guest has no {}", disk));
    }
    qmp_.execute("block_resize", {{"node-name", tops.begin()->second.name}, {"size", bytes}});
}

bool VolumePlug::has_device(const std::string& id)
{
    const Json devices = qmp_.execute("qom-list", {{"path", "/machine/peripheral"}});
    return std::any_of(devices.begin(), devices.end(),
                       [&](const Json& device) { return device.is_object() && device.value("name", Json()) == id; });
}

void VolumePlug::close(const std::string& id)
{
    for (int i = 0; i < close_attempts; ++i) {
        const std::vector<std::string> nodes = nodes_of(qmp_, id);
        if (nodes.empty()) {
            return;
        }
        for (const std::string& node : nodes) { // each below the one before
            remove_node(qmp_, node);
        }
        std::this_thread::sleep_for(i == 0 ? milliseconds(0) : look_again);
    }
    throw Error(ErrorKind::launch, fmt::format("QEMU does not close {}", id));
}

} // namespace kiln::launcher
