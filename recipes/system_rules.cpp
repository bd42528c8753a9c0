// SPDX-License-Identifier: Apache-2.0
// The rules for packages, services and what else is set up for the whole system.
#include "recipes/field_rules.h"
#include "recipes/rule_helpers.h"

#include <fmt/format.h>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t longest_unit = 255;
constexpr std::size_t longest_drop_in = 65536;
constexpr std::size_t longest_hostname = 64; // HOST_NAME_MAX
constexpr std::size_t longest_label = 63;    // RFC 1123
constexpr std::size_t longest_version = 128;
constexpr std::size_t longest_name = 64;
constexpr std::size_t longest_value = 1024;

// A version of deb-version(7), which starts with a digit.
Checked<std::string> check_pinned_package(std::string_view text)
{
    const std::size_t equals = text.find('=');
    auto name = check_package(text.substr(0, equals));
    if (equals == std::string_view::npos || std::holds_alternative<Problem>(name)) {
        return name;
    }
    const std::string_view version = text.substr(equals + 1);
    const bool good = !version.empty() && version.size() <= longest_version && is_one_of(version.front(), digits) &&
                      consists_of(version, lower_case, upper_case, digits, ".+-~:");
    if (!good) {
        return Problem{in_quotes(text) + " has no version of a Debian package after \"=\"", R"(like "nginx=1.22.1-9")"};
    }
    return std::string(text);
}

Checked<std::string> check_file_name(std::string_view text)
{
    const bool good = !text.empty() && text.size() <= longest_name && consists_of(text, lower_case, digits, "_-.") &&
                      !is_one_of(text.front(), "-.");
    if (!good) {
        return Problem{in_quotes(text) + " is not a name for a file",
                       fmt::format(R"(lower-case letters, digits, "-", "_" and ".", at most {})", longest_name)};
    }
    return std::string(text);
}

Checked<std::string> check_archive_uri(std::string_view text)
{
    auto uri = check_mirror(text);
    if (std::holds_alternative<Problem>(uri) || text.starts_with("copy:")) {
        return Problem{in_quotes(text) + " is not an archive's URL", "http://, https:// or file:///, without spaces"};
    }
    const std::size_t host = text.find("//") + 2;
    if (text.substr(host, text.find('/', host) - host).find('@') != std::string_view::npos) {
        return Problem{"holds a user name or password", "it would be in every image", true};
    }
    if (text.find_first_of("[]\"'\\") != std::string_view::npos) {
        return Problem{in_quotes(text) + " is not an archive's URL", "no brackets, quotes or backslashes"};
    }
    return uri;
}

Checked<std::string> check_archive_suite(std::string_view text)
{
    const bool is_path = text.ends_with('/');
    const std::string_view inner = is_path && text.size() > 1 ? text.substr(0, text.size() - 1) : text;
    const bool good = !text.empty() && text.size() <= longest_name &&
                      consists_of(text, lower_case, upper_case, digits, "_-./") && !text.starts_with('-') &&
                      (text == "/" || text == "./" || !has_odd_component(inner));
    if (!good) {
        return Problem{in_quotes(text) + " is not a suite of an archive", R"(like "bookworm-pgdg" or "./")"};
    }
    return std::string(text);
}

Checked<std::string> check_unit(std::string_view text)
{
    const bool good = !text.empty() && text.size() <= longest_unit && !is_one_of(text.front(), "-.") &&
                      consists_of(text, lower_case, upper_case, digits, ":_.@-");
    if (!good) {
        return Problem{in_quotes(text) + " is not the name of a systemd unit"};
    }
    return std::string(text);
}

Checked<std::string> check_drop_in(std::string_view text)
{
    std::string_view rest = text;
    while (!rest.empty() && (is_one_of(rest.front(), " \t\n#;"))) {
        const bool comment = is_one_of(rest.front(), "#;");
        rest.remove_prefix(comment ? std::min(rest.find('\n'), rest.size()) : 1);
    }
    if (!rest.starts_with('[') || text.size() > longest_drop_in) {
        return Problem{
            "is not a drop-in of a unit",
            fmt::format(R"(it starts with a section like "[Service]" and has at most {} bytes)", longest_drop_in)};
    }
    return std::string(text);
}

bool is_host_label(std::string_view label)
{
    return !label.empty() && label.size() <= longest_label && consists_of(label, lower_case, digits, "-") &&
           !label.starts_with('-') && !label.ends_with('-');
}

Checked<std::string> check_hostname(std::string_view text)
{
    bool good = !text.empty() && text.size() <= longest_hostname;
    for (std::string_view rest = text; good;) {
        const std::size_t dot = rest.find('.');
        good = is_host_label(rest.substr(0, dot));
        if (dot == std::string_view::npos) {
            break;
        }
        rest.remove_prefix(dot + 1);
    }
    if (!good) {
        return Problem{in_quotes(text) + " is not a host name",
                       R"(labels of lower-case letters, digits and inner "-", with dots between, at most 64)"};
    }
    return std::string(text);
}

Checked<std::string> check_timezone(std::string_view text)
{
    const bool good = text.size() <= longest_name && !has_odd_component(text) &&
                      consists_of(text, lower_case, upper_case, digits, "_+-/") && is_one_of(text.front(), upper_case);
    if (!good) {
        return Problem{in_quotes(text) + " is not a time zone",
                       R"(a name of the tz database, like "Europe/Berlin" or "UTC")"};
    }
    return std::string(text);
}

// "de_DE.UTF-8", "ca_ES.UTF-8@valencia", "C.UTF-8"
Checked<std::string> check_locale(std::string_view text)
{
    constexpr std::string_view charset = ".UTF-8";
    const std::size_t end = text.find(charset);
    const std::string_view place = text.substr(0, end);
    const std::string_view modifier = end == std::string_view::npos ? "" : text.substr(end + charset.size());
    const std::size_t line = place.find('_');
    const std::string_view language = place.substr(0, line);
    const std::string_view country = line == std::string_view::npos ? "" : place.substr(line + 1);
    const bool named = (language.size() == 2 || language.size() == 3) && consists_of(language, lower_case) &&
                       country.size() == 2 && consists_of(country, upper_case);
    const bool modified = modifier.empty() || (modifier.starts_with('@') && modifier.size() > 1 &&
                                               modifier.size() <= 16 && consists_of(modifier.substr(1), lower_case));
    if (end == std::string_view::npos || !(named || place == "C") || !modified) {
        return Problem{in_quotes(text) + " is not a locale",
                       R"(language, country and UTF-8, like "de_DE.UTF-8", or "C.UTF-8")"};
    }
    return std::string(text);
}

// As sysctl.d(5) has them, with dots, or with slashes where a part has a dot in it.
Checked<std::string> check_sysctl_key(std::string_view text)
{
    const bool good = text.size() <= 256 && text.find_first_of("./") != std::string_view::npos &&
                      consists_of(text, lower_case, upper_case, digits, "_-./") &&
                      is_one_of(text.front(), lower_case) && text.find("..") == std::string_view::npos &&
                      !is_one_of(text.back(), "./") && text.find("//") == std::string_view::npos;
    if (!good) {
        return Problem{in_quotes(text) + " is not a kernel parameter",
                       R"(quoted, with dots: "net.ipv4.ip_forward" = 1)"};
    }
    return std::string(text);
}

Checked<std::string> check_sysctl_value(std::string_view text)
{
    if (text.empty() || text.size() > longest_value || text.starts_with(' ') || text.ends_with(' ')) {
        return Problem{in_quotes(text) + " is not a kernel parameter's value",
                       "a number or words without spaces around"};
    }
    return std::string(text);
}

Checked<std::string> check_kernel_module(std::string_view text)
{
    if (text.empty() || text.size() > 55 || !consists_of(text, lower_case, upper_case, digits, "_-") ||
        text.starts_with('-')) {
        return Problem{in_quotes(text) + " is not a kernel module's name", R"(like "br_netfilter")"};
    }
    return std::string(text);
}

} // namespace

namespace rules
{

const Rule<std::string> pinned_package{check_pinned_package, R"("nginx=1.22.1-9")"};
const Rule<std::string> file_name{check_file_name, R"("example")"};
const Rule<std::string> archive_uri{check_archive_uri, R"("https://apt.example.org/debian")"};
const Rule<std::string> archive_suite{check_archive_suite, R"("bookworm")"};
const Rule<std::string> unit{check_unit, R"("ssh")"};
const Rule<std::string> drop_in{check_drop_in, R"("[Service]\nRestart=always\n")", true};
const Rule<std::string> hostname{check_hostname, R"("web")"};
const Rule<std::string> timezone{check_timezone, R"("Europe/Berlin")"};
const Rule<std::string> locale{check_locale, R"("de_DE.UTF-8")"};
const Rule<std::string> sysctl_key{check_sysctl_key, R"("vm.swappiness")"};
const Rule<std::string> sysctl_value{check_sysctl_value, R"("10")"};
const Rule<std::string> kernel_module{check_kernel_module, R"("br_netfilter")"};

} // namespace rules
} // namespace kiln::recipes
