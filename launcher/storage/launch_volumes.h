// SPDX-License-Identifier: Apache-2.0
// Internal: the volumes of an instance that is being launched, which nobody else changes until that is done.
#pragma once

#include "core/files.h"
#include "launcher/storage/volume_request.h"

#include <filesystem>
#include <memory>
#include <stop_token>
#include <vector>

namespace kiln::launcher
{

class LaunchVolumes
{
public:
    // Locks those that exist, which must be available, and makes the disks of new ones in `staging`. Throws
    // Error{conflict, not_found, no_space, damaged, interrupted}.
    LaunchVolumes(const Paths& paths, std::filesystem::path staging, const Instance& instance,
                  std::vector<PlannedVolume> volumes, const std::stop_token& stop);
    // Unless confirmed, new ones go and the others are free, once the instance's folder is gone.
    ~LaunchVolumes();
    LaunchVolumes(const LaunchVolumes&) = delete;
    LaunchVolumes& operator=(const LaunchVolumes&) = delete;

    // Puts them where they belong, right before the instance is; until then nobody sees them.
    void place();
    // The instance runs.
    void confirm();

private:
    void stage(const PlannedVolume& planned, const std::stop_token& stop);
    void claim(PlannedVolume& planned, const std::stop_token& stop);
    void name_after_instance(Volume& volume) const;

    const Paths& paths_;
    std::filesystem::path staging_;
    std::optional<std::string> instance_name_;
    std::vector<PlannedVolume> volumes_;
    std::vector<FileLock> locks_;
    bool placed_ = false;
    bool confirmed_ = false;
};

} // namespace kiln::launcher
