// SPDX-License-Identifier: Apache-2.0
// The rules for [boot], [launch] and [seal].
#include "recipes/field_rules.h"
#include "recipes/rule_helpers.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t longest_command_line = 1024; // the kernel takes 2048 bytes, with Kiln's own
constexpr std::size_t longest_tag_key = 128;       // as EC2 has them
constexpr std::size_t longest_tag_value = 256;
constexpr std::size_t longest_pattern = 1024;

Checked<std::string> check_firmware(std::string_view text)
{
    constexpr std::array<std::string_view, 2> supported{"bios", "uefi"};
    return check_choice(text, supported);
}

// It goes into a shell variable of /etc/default/grub, and from there into GRUB's own script language.
Checked<std::string> check_kernel_command_line(std::string_view text)
{
    const bool good = text.size() <= longest_command_line &&
                      consists_of(text, lower_case, upper_case, digits, " ._=,:/+@%~-") && !text.starts_with(' ') &&
                      !text.ends_with(' ');
    if (!good) {
        return Problem{in_quotes(text) + " is not a kernel command line",
                       fmt::format("words of letters, digits and ._=,:/+@%~- with single spaces, at most {} bytes",
                                   longest_command_line)};
    }
    return std::string(text);
}

Checked<std::string> check_account_id(std::string_view text)
{
    if (text.size() != 12 || !consists_of(text, digits)) {
        return Problem{in_quotes(text) + " is not an account's id", "12 digits"};
    }
    return std::string(text);
}

Checked<std::string> check_instance_type(std::string_view text)
{
    const std::size_t dot = text.find('.');
    const std::string_view family = text.substr(0, dot);
    const std::string_view size = dot == std::string_view::npos ? "" : text.substr(dot + 1);
    const bool good = text.size() <= 32 && !family.empty() && !size.empty() && is_one_of(family.front(), lower_case) &&
                      consists_of(family, lower_case, digits, "-") && consists_of(size, lower_case, digits, "-") &&
                      !size.starts_with('-');
    if (!good) {
        return Problem{in_quotes(text) + " is not an instance type", R"(a family and a size, like "t3.small")"};
    }
    return std::string(text);
}

Checked<ByteSize> check_memory_size(std::string_view text)
{
    return check_size(text, "an instance's memory", mebibytes(64), gibibytes(24 * std::uint64_t{1024}));
}

Checked<std::string> check_tag_key(std::string_view text)
{
    if (text.empty() || text.size() > longest_tag_key || text.starts_with("aws:") || text.starts_with("kiln:")) {
        return Problem{in_quotes(text) + " is not a tag's key",
                       fmt::format(R"(1 to {} bytes that don't start with "aws:" or "kiln:")", longest_tag_key)};
    }
    return std::string(text);
}

Checked<std::string> check_tag_value(std::string_view text)
{
    if (text.size() > longest_tag_value) {
        return Problem{in_quotes(text) + " is too long for a tag", fmt::format("at most {} bytes", longest_tag_value)};
    }
    return std::string(text);
}

// The number that all of `text` is.
int number_in(std::string_view text)
{
    int number = -1;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    return error == std::errc{} && stop == end && consists_of(text, digits) ? number : -1;
}

Checked<std::string> check_date(std::string_view text)
{
    const bool shaped = text.size() == 10 && text[4] == '-' && text[7] == '-';
    const int year = shaped ? number_in(text.substr(0, 4)) : -1;
    const int month = shaped ? number_in(text.substr(5, 2)) : -1;
    const int day = shaped ? number_in(text.substr(8, 2)) : -1;
    const bool good =
        year > 0 && month > 0 && day > 0 &&
        std::chrono::year_month_day(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                    std::chrono::day(static_cast<unsigned>(day)))
            .ok();
    if (!good) {
        return Problem{in_quotes(text) + " is not a date", R"(YEAR-MONTH-DAY, like "2027-11-23")"};
    }
    return std::string(text);
}

Checked<std::string> check_keep_pattern(std::string_view text)
{
    const bool good = text.starts_with('/') && text.size() <= longest_pattern && is_visible_ascii(text) &&
                      !has_odd_component(text.substr(1)) && text.find_first_not_of("/*?") != std::string_view::npos;
    if (!good) {
        return Problem{in_quotes(text) + " is not a pattern of paths",
                       R"(absolute and normalized, with "*" and "?", like "/var/log/app/*")"};
    }
    return std::string(text);
}

} // namespace

namespace rules
{

const Rule<std::string> firmware{check_firmware, R"("bios")"};
const Rule<std::string> kernel_command_line{check_kernel_command_line, R"("quiet mitigations=off")"};
const Rule<std::string> account_id{check_account_id, R"("123456789012")"};
const Rule<std::string> instance_type{check_instance_type, R"("t3.small")"};
const Rule<ByteSize> memory_size{check_memory_size, R"("1GiB")"};
const Rule<std::string> tag_key{check_tag_key, R"("team")"};
const Rule<std::string> tag_value{check_tag_value, R"("web")"};
const Rule<std::string> date{check_date, R"("2027-11-23")"};
const Rule<std::string> keep_pattern{check_keep_pattern, R"("/var/log/app/*")"};

} // namespace rules
} // namespace kiln::recipes
