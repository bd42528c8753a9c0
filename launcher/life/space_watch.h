// SPDX-License-Identifier: Apache-2.0
// Internal: a guest that writes while the host has no space left is paused by QEMU (werror=enospc, the default of
// -blockdev), and no write of its is lost. This has it go on when there is space again. While it is paused a lock is
// held, which takes no space itself and ends with this process, so that others can tell (instance_store.h).
#pragma once

#include "core/files.h"
#include "core/qmp_client.h"
#include "launcher/instance.h"
#include "launcher/life/power.h"

#include <optional>
#include <thread>

namespace kiln::launcher
{

class SpaceWatch
{
public:
    // In a thread of its own until the destructor; looks once a second. Both others outlive it.
    SpaceWatch(InstancePaths paths, QmpClient& qmp, Power& power);

private:
    void look();
    [[nodiscard]] bool has_space() const;
    void note(const char* event) const;

    InstancePaths paths_;
    QmpClient& qmp_;
    Power& power_;
    std::optional<FileLock> paused_;
    std::jthread thread_; // last: it uses the others
};

} // namespace kiln::launcher
