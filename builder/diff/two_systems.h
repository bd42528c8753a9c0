// SPDX-License-Identifier: Apache-2.0
// Internal: the systems of two images in one appliance. Images of one lineage have the same UUIDs, so that an fstab of
// one may seem to name the other's file systems; here each gets its own.
#pragma once

#include "builder/appliance.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace kiln::builder
{

struct TwoSystems {
    std::vector<Mountpoint> before; // "/" first
    std::vector<Mountpoint> after;
};

// The first `disks_before` drives are those of the one, the others those of the other. Throws Error{step_failed} unless
// each has one system, and where one is on logical or encrypted volumes: two such of one lineage can't be open at once.
[[nodiscard]] TwoSystems find_two_systems(Appliance& appliance, std::size_t disks_before);

// The number of the drive that has "/dev/sdb3": 1; nullopt for another device. Pure.
[[nodiscard]] std::optional<std::size_t> drive_of(const std::string& device);

} // namespace kiln::builder
