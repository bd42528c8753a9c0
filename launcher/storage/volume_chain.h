// SPDX-License-Identifier: Apache-2.0
// Internal: the files of a volume's disk. Mostly it is disk.qcow2 alone; a snapshot of its instance puts a fresh
// overlay on it (snapshot/overlays.h), and chain.json names all of them from then on. The volume takes both with it
// wherever it goes.
//
// Changed by the supervisor of the instance whose QEMU has the volume; while that is stopped, by who has its life lock.
#pragma once

#include "launcher/storage/volume.h"

#include <filesystem>
#include <vector>

namespace kiln::launcher
{

// Bottom first, disk.qcow2 at least. Throws Error{damaged}.
[[nodiscard]] std::vector<std::filesystem::path> volume_chain(const VolumePaths& paths);
void save_volume_chain(const VolumePaths& paths, const std::vector<std::filesystem::path>& files); // durable

} // namespace kiln::launcher
