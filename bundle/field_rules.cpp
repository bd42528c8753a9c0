// SPDX-License-Identifier: Apache-2.0
#include "bundle/field_rules.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

namespace kiln::bundle
{
namespace
{

bool is_lower_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

} // namespace

bool is_device(std::string_view text)
{
    return text.size() == 8 && text.starts_with("/dev/vd") && text.back() >= 'a' && text.back() <= 'z';
}

bool is_time(std::string_view text)
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

bool is_date(std::string_view text)
{
    return text.size() == 10 && is_time(std::string(text) + "T00:00:00Z");
}

bool is_account(std::string_view text)
{
    return text.size() == 12 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_file_system(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

bool is_mount_point(std::string_view text)
{
    const std::string inner = std::string(text) + "/";
    return text.starts_with('/') && inner.find("/../") == std::string::npos && inner.find("/./") == std::string::npos;
}

bool is_part_name(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
    });
}

bool is_type_name(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(),
                                        [](char c) { return is_lower_alphanumeric(c) || c == '-' || c == '.'; });
}

bool is_url_path(std::string_view text)
{
    return text.starts_with('/') &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
}

} // namespace kiln::bundle
