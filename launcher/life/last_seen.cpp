// SPDX-License-Identifier: Apache-2.0
#include "launcher/life/last_seen.h"

#include <algorithm>
#include <sys/stat.h>

namespace kiln::launcher
{
namespace
{

using Time = std::chrono::system_clock::time_point;

Time changed(const std::filesystem::path& file)
{
    struct stat status {
    };
    return ::stat(file.c_str(), &status) == 0 ? std::chrono::system_clock::from_time_t(status.st_mtim.tv_sec) : Time();
}

} // namespace

Time last_seen(const InstancePaths& paths, const Instance& instance)
{
    Time seen = std::max(changed(paths.events), changed(paths.console));
    for (const InstanceDisk& disk : instance.disks) {
        seen = std::max(seen, changed(disk.overlay));
    }
    if (!instance.boot_id.empty() && instance.boot_id != host_boot_id()) {
        seen = std::min(seen, host_boot_time());
    }
    return std::min(seen, std::chrono::system_clock::now());
}

} // namespace kiln::launcher
