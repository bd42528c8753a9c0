// SPDX-License-Identifier: Apache-2.0
// The rules for files, scripts and tests; account_rules.cpp and system_rules.cpp have the other steps.
#include "recipes/field_rules.h"
#include "recipes/rule_helpers.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <regex>
#include <utility>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t longest_path = 4095;     // PATH_MAX without its NUL
constexpr std::size_t longest_component = 255; // NAME_MAX

bool has_long_component(std::string_view path)
{
    std::size_t length = 0;
    return std::ranges::any_of(path, [&](char c) { return (length = c == '/' ? 0 : length + 1) > longest_component; });
}

} // namespace

Checked<std::string> check_guest_path(std::string_view text)
{
    if (!text.starts_with('/') || has_odd_component(text.substr(1))) {
        return Problem{in_quotes(text) + " is not an absolute, normalized path",
                       R"(start with "/", without "..", ".", "//" or a "/" at the end)"};
    }
    if (!std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; })) {
        return Problem{in_quotes(text) + " has characters beyond ASCII", "a `run` step can make a file of any name"};
    }
    if (text.size() > longest_path || has_long_component(text)) {
        return Problem{in_quotes(text) + " is too long for a path", "255 characters a name, 4095 in all"};
    }
    return std::string(text);
}

namespace
{

constexpr std::size_t longest_account = 32;
constexpr std::size_t longest_variable = 128;
constexpr std::size_t longest_secret_name = 64;
constexpr std::size_t longest_pattern = 1024;
constexpr std::size_t longest_test_name = 128;
constexpr std::size_t longest_test_text = 65536; // as much as the AMI manifest takes
constexpr std::chrono::seconds longest_duration = std::chrono::hours(24);

Checked<std::string> check_guest_folder(std::string_view text)
{
    return text == "/" ? std::string(text) : check_guest_path(text);
}

Checked<std::string> check_source_path(std::string_view text)
{
    if (text.empty() || text.size() > longest_path || has_odd_component(text)) {
        return Problem{in_quotes(text) + " is not a path below the recipe's folder",
                       R"(write it relative to the recipe, without "..", like "files/motd")"};
    }
    return std::string(text);
}

Checked<std::string> check_content(std::string_view text)
{
    return std::string(text);
}

Checked<std::uint32_t> check_file_mode(std::string_view text)
{
    std::uint32_t mode = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, mode, 8);
    if (error != std::errc{} || stop != end || text.size() < 3 || text.size() > 5) {
        return Problem{in_quotes(text) + " is not a file mode"};
    }
    if (mode > 07777) {
        return Problem{in_quotes(text) + " is above 7777"};
    }
    return mode;
}

Checked<std::string> check_account(std::string_view text)
{
    const bool good = !text.empty() && text.size() <= longest_account &&
                      consists_of(text, lower_case, upper_case, digits, "_-") &&
                      !is_one_of(text.front(), "-0123456789");
    if (!good) {
        return Problem{in_quotes(text) + " is not the name of a user or group",
                       R"(letters, digits, "-" and "_", a letter or "_" first, at most 32)"};
    }
    return std::string(text);
}

Checked<std::string> check_script(std::string_view text)
{
    if (text.find_first_not_of(" \t\n") == std::string_view::npos) {
        return Problem{"is empty"};
    }
    return std::string(text);
}

Checked<std::string> check_environment_name(std::string_view text)
{
    const bool good = !text.empty() && text.size() <= longest_variable &&
                      consists_of(text, lower_case, upper_case, digits, "_") && !is_one_of(text.front(), digits);
    if (!good) {
        return Problem{in_quotes(text) + " is not the name of an environment variable",
                       R"(letters, digits and "_", no digit first)"};
    }
    return std::string(text);
}

Checked<std::string> check_secret_name(std::string_view text)
{
    const bool good = !text.empty() && text.size() <= longest_secret_name &&
                      consists_of(text, lower_case, digits, "_-") && !is_one_of(text.front(), "-_");
    if (!good) {
        return Problem{in_quotes(text) + " is not a secret's name", R"(lower-case letters, digits, "-" and "_")"};
    }
    return std::string(text);
}

Checked<std::string> check_command(std::string_view text)
{
    if (text.size() > longest_test_text) {
        return Problem{fmt::format("is longer than {} bytes", longest_test_text), "install a script and run it"};
    }
    return check_script(text);
}

Checked<std::chrono::seconds> check_duration(std::string_view text)
{
    constexpr std::array<std::pair<std::string_view, std::int64_t>, 3> units{{{"s", 1}, {"min", 60}, {"h", 3600}}};
    std::int64_t count = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, count);
    const std::string_view unit(stop, static_cast<std::size_t>(end - stop));
    const auto* const found = std::ranges::find(units, unit, &std::pair<std::string_view, std::int64_t>::first);
    const bool too_many = error == std::errc::result_out_of_range;
    if ((error != std::errc{} && !too_many) || found == units.end() || text.starts_with('-')) {
        return Problem{in_quotes(text) + " is not a duration", R"(write it like "90s", "30min" or "2h")"};
    }
    if (too_many || count == 0 || count > longest_duration.count() / found->second) {
        return Problem{in_quotes(text) + " is out of range", "at least 1s, at most 24h"};
    }
    return std::chrono::seconds(count * found->second);
}

Checked<std::string> check_test_name(std::string_view text)
{
    if (text.empty() || text.size() > longest_test_name || text.starts_with(' ') || text.ends_with(' ')) {
        return Problem{in_quotes(text) + " is not a test's name",
                       fmt::format("1 to {} bytes without spaces around them", longest_test_name)};
    }
    return std::string(text);
}

Checked<std::string> check_output(std::string_view text)
{
    constexpr std::string_view blanks = " \t\n";
    if (!text.empty() && (is_one_of(text.front(), blanks) || is_one_of(text.back(), blanks))) {
        return Problem{"starts or ends with white space, so it never matches",
                       "the command's output is trimmed before it is compared"};
    }
    if (text.size() > longest_test_text) {
        return Problem{fmt::format("is longer than {} bytes", longest_test_text), "compare in the command"};
    }
    return std::string(text);
}

Checked<std::string> check_console_pattern(std::string_view text)
{
    if (text.empty() || text.size() > longest_pattern) {
        return Problem{in_quotes(text) + " is not a pattern",
                       fmt::format("a regular expression of 1 to {} bytes", longest_pattern)};
    }
    try {
        const std::regex compiled(text.begin(), text.end(),
                                  std::regex::ECMAScript | std::regex_constants::__polynomial);
    } catch (const std::regex_error& error) {
        return Problem{in_quotes(text) + " is not a regular expression: " + error.what(),
                       "ECMAScript syntax; in a literal string ('...') a backslash stays as it is"};
    }
    return std::string(text);
}

} // namespace

namespace rules
{

const Rule<std::string> guest_path{check_guest_path, R"("/etc/motd")"};
const Rule<std::string> guest_folder{check_guest_folder, R"("/opt/app")"};
const Rule<std::string> source_path{check_source_path, R"("files/motd")"};
const Rule<std::string> content{check_content, R"("text")", true};
const Rule<std::uint32_t> file_mode{check_file_mode, R"("0644")"};
const Rule<std::string> account{check_account, R"("root")"};
const Rule<std::string> script{check_script, R"("apt-get clean")", true};
const Rule<std::string> environment_name{check_environment_name, R"(LANG)"};
const Rule<std::string> environment_value{check_content, R"("C.UTF-8")", true};
const Rule<std::string> secret_name{check_secret_name, R"("database-password")"};
const Rule<std::chrono::seconds> duration{check_duration, R"("30min")"};
const Rule<std::string> test_name{check_test_name, R"("boots")"};
const Rule<std::string> command{check_command, R"("systemctl is-system-running")", true};
const Rule<std::string> output{check_output, R"("running")", true};
const Rule<std::string> console_pattern{check_console_pattern, R"("login:")"};

} // namespace rules
} // namespace kiln::recipes
