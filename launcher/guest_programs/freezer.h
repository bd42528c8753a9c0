// SPDX-License-Identifier: Apache-2.0
// Part of kiln-clone-agent: stops every other process of the guest by cgroup v2's freezer, PID 1 as well, and lets them
// go on.
#pragma once

#include <string>
#include <vector>

namespace kiln::guest
{

class Freezer
{
public:
    // Moves this process to a cgroup of its own. Throws Failure: where there is no unified hierarchy, or a process is
    // in its root, which can't be frozen.
    Freezer();
    // Returns when all others stand still; throws Failure, and lets them go on, when they don't within 10 s.
    void freeze();
    void thaw();
    // Gives the cgroup up. Its own processes, if any, stay there.
    void leave() noexcept;

    [[nodiscard]] std::size_t groups() const noexcept { return groups_.size(); }

private:
    std::vector<std::string> groups_; // that are frozen
};

} // namespace kiln::guest
