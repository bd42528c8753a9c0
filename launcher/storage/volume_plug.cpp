// SPDX-License-Identifier: Apache-2.0
#include "launcher/storage/volume_plug.h"

#include "core/error.h"
#include "core/text.h"
#include "launcher/block_node.h"
#include "launcher/qemu_command.h"
#include "launcher/storage/volume.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

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

bool has_name(const Json& list, const char* key, const std::string& name)
{
    return std::any_of(list.begin(), list.end(),
                       [&](const Json& entry) { return entry.is_object() && entry.value(key, Json()) == name; });
}

} // namespace

std::string hot_port(unsigned number)
{
    return fmt::format("hot{}", number);
}

Json volume_node(const std::string& id, const std::filesystem::path& disk)
{
    Json node = qcow2_node(id, disk, false, "");
    node["detect-zeroes"] = "unmap";
    return node;
}

void VolumePlug::plug(const std::string& id, const std::filesystem::path& disk)
{
    if (has_device(id) && !has_node(id)) {
        throw Error(ErrorKind::conflict, fmt::format("the guest has not let go of {}, which was taken from it", id),
                    "reboot the guest, or attach it to another instance");
    }
    if (has_device(id)) {
        return;
    }
    if (has_node(stub_node(id))) { // of a time before
        qmp_.execute("blockdev-del", {{"node-name", stub_node(id)}});
    }
    if (!has_node(id)) {
        add_block_node(qmp_, volume_node(id, disk));
    }
    std::string refusal;
    bool taken = true; // all ports
    for (unsigned port = 0; port < hot_ports && taken; ++port) {
        try {
            qmp_.execute("device_add", {{"driver", "virtio-blk-pci"},
                                        {"id", id},
                                        {"drive", id},
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
    return has_device(id) && has_node(id);
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
    if (!has_node(stub_node(id))) { // a disk of no bytes: whatever the guest reads or writes is beyond its end
        qmp_.execute("blockdev-add", {{"driver", "null-co"}, {"node-name", stub_node(id)}, {"size", 0}});
    }
    qmp_.execute("qom-set", {{"path", "/machine/peripheral/" + id}, {"property", "drive"}, {"value", stub_node(id)}});
    close(id);
}

void VolumePlug::resize(const std::string& node, std::uint64_t bytes)
{
    qmp_.execute("block_resize", {{"node-name", node}, {"size", bytes}});
}

bool VolumePlug::has_device(const std::string& id)
{
    return has_name(qmp_.execute("qom-list", {{"path", "/machine/peripheral"}}), "name", id);
}

bool VolumePlug::has_node(const std::string& id)
{
    return has_name(qmp_.execute("query-named-block-nodes", {{"flat", true}}), "node-name", id);
}

void VolumePlug::close(const std::string& id)
{
    for (int i = 0; has_node(id); ++i) {
        try {
            remove_block_node(qmp_, id);
        } catch (const Error&) {
            if (i == close_attempts) {
                throw;
            }
            std::this_thread::sleep_for(look_again);
        }
    }
}

} // namespace kiln::launcher
