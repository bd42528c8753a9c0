// SPDX-License-Identifier: Apache-2.0
#include "launcher/usage/iso_time.h"

#include "core/timestamp.h"

#include <charconv>

namespace kiln::launcher
{

std::optional<std::chrono::system_clock::time_point> parse_iso_time(std::string_view text)
{
    if (!is_iso_time(text)) { // which has checked the day and the hour
        return std::nullopt;
    }
    const auto number = [text](std::size_t at, std::size_t digits) {
        int value = 0;
        std::from_chars(text.data() + at, text.data() + at + digits, value);
        return value;
    };
    const std::chrono::year_month_day day{std::chrono::year{number(0, 4)},
                                          std::chrono::month{static_cast<unsigned>(number(5, 2))},
                                          std::chrono::day{static_cast<unsigned>(number(8, 2))}};
    return std::chrono::sys_days(day) + std::chrono::hours(number(11, 2)) + std::chrono::minutes(number(14, 2)) +
           std::chrono::seconds(number(17, 2));
}

} // namespace kiln::launcher
