// SPDX-License-Identifier: Apache-2.0
#include "core/timestamp.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
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

bool is_iso_time(std::string_view text)
{
    constexpr std::string_view shape = "0000-00-00T00:00:00Z";
    if (text.size() != shape.size()) {
        return false;
    }
    std::array<int, 6> numbers{};
    std::size_t field = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (shape[i] == '0' ? !digit : text[i] != shape[i]) {
            return false;
        }
        if (digit) {
            numbers.at(field) = numbers.at(field) * 10 + (text[i] - '0');
        } else {
            ++field;
        }
    }
    const std::chrono::year_month_day day{std::chrono::year{numbers[0]},
                                          std::chrono::month{static_cast<unsigned>(numbers[1])},
                                          std::chrono::day{static_cast<unsigned>(numbers[2])}};
    return day.ok() && numbers[3] < 24 && numbers[4] < 60 && numbers[5] < 60;
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
