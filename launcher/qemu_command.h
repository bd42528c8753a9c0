// SPDX-License-Identifier: Apache-2.0
// Internal: an instance -> QEMU's argv, a pure function. Every format is explicit, every node of a
// disk's chain is spelled out, and nothing is configured by files of the host's.
#pragma once

#include "launcher/instance.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

// UEFI firmware of Debian's package ovmf: its code, read by every instance, and what a new instance's
// variables start as.
inline constexpr const char* firmware_code = "/usr/share/OVMF/OVMF_CODE_4M.fd";
inline constexpr const char* firmware_variables = "/usr/share/OVMF/OVMF_VARS_4M.fd";

// What every instance's machine is; the state of one can be brought into another of the same only.
inline constexpr std::string_view machine_type = "pc-q35-7.2";
[[nodiscard]] std::string_view cpu_model(Accelerator accelerator) noexcept;

// The UUID and serial number in the guest's SMBIOS tables. systemd makes the machine id of it.
[[nodiscard]] std::string system_uuid(std::string_view id);

[[nodiscard]] std::vector<std::string> qemu_argv(const Instance& instance, const InstancePaths& paths);

// Names of block nodes: the lowest overlay of disk 0 is "disk0", that in "disk0.3.qcow2" is "disk0-3", its AMI's
// topmost layer "disk0-layer2". A volume that can come and go has its id in the place of "disk0".
[[nodiscard]] std::string disk_node(std::size_t disk);
[[nodiscard]] std::string overlay_node(const std::string& disk, const std::filesystem::path& overlay);
[[nodiscard]] std::string layer_node(std::size_t disk, std::size_t layer);

// A qcow2 node over the node `backing` (empty: over nothing) as -blockdev and blockdev-add take it.
[[nodiscard]] Json qcow2_node(const std::string& name, const std::filesystem::path& file, bool read_only,
                              const std::string& backing);

// The one that a disk is written to.
[[nodiscard]] Json top_overlay_node(const std::string& disk, const std::filesystem::path& overlay,
                                    const std::string& backing);
// All of a disk's own overlays over the node `backing`, bottom first.
[[nodiscard]] std::vector<Json> overlay_nodes(const std::string& disk, const InstanceDisk& overlays,
                                              std::string backing);

} // namespace kiln::launcher
