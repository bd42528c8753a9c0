// SPDX-License-Identifier: Apache-2.0
#include "core/timestamp.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>

namespace kiln
{

std::string iso_time(std::chrono::system_clock::time_point time)
{
    return fmt::format("{:%FT%TZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::string iso_now()
{
    return iso_time(std::chrono::system_clock::now());
}

std::string human_duration(std::chrono::duration<double> duration)
{
    const double seconds = duration.count();
    if (seconds < 10) {
        return fmt::format("{:.2f} s", seconds);
    }
    if (seconds < 60) {
        return fmt::format("{:.1f} s", seconds);
    }
    const long whole = std::lround(seconds);
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
}

} // namespace kiln
