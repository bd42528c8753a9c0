// SPDX-License-Identifier: Apache-2.0
#include "launcher/life/attendance.h"

#include "launcher/control.h"

namespace kiln::launcher
{
namespace
{

constexpr std::chrono::seconds grace{2}; // one that begins has not got its lock at once, one before it may still have

} // namespace

bool Attendance::look()
{
    const auto now = std::chrono::steady_clock::now();
    if (has_supervisor(files_)) {
        seen_ = now;
        return true;
    }
    if (!find_qemu(files_, id_)) {
        return !seen_ || now < *seen_ + grace;
    }
    if (now >= next_start_) {
        start_supervisor(paths_, id_);
        next_start_ = now + grace;
    }
    return true;
}

} // namespace kiln::launcher
