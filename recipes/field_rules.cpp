// SPDX-License-Identifier: Apache-2.0
// The rules for the head of a recipe, its base and its storage.
#include "recipes/field_rules.h"

#include "core/random.h"
#include "core/text.h"
#include "recipes/rule_helpers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace kiln::recipes
{

Checked<std::string> check_choice(std::string_view text, std::span<const std::string_view> supported)
{
    if (std::ranges::find(supported, text) != supported.end()) {
        return std::string(text);
    }
    const std::string list = fmt::format("supported: \"{}\"", fmt::join(supported, "\", \""));
    const auto near = text.size() <= 64 ? near_miss(text, supported) : std::nullopt;
    return Problem{in_quotes(text) + " is not supported", near ? fmt::format("did you mean \"{}\"?", *near) : list};
}

bool has_odd_component(std::string_view path)
{
    while (true) {
        const std::size_t slash = path.find('/');
        const std::string_view component = path.substr(0, slash);
        if (component.empty() || component == "." || component == "..") {
            return true;
        }
        if (slash == std::string_view::npos) {
            return false;
        }
        path.remove_prefix(slash + 1);
    }
}

namespace
{

constexpr ByteSize smallest_volume = mebibytes(512);
constexpr ByteSize largest_volume = gibibytes(64 * std::uint64_t{1024});
constexpr std::size_t longest_description = 1024;
constexpr std::size_t longest_package_name = 128;
constexpr std::size_t longest_url = 2048;

// The same names as bundle::is_image_name takes.
Checked<std::string> check_image_name(std::string_view text)
{
    const auto is_end = [](char c) { return is_one_of(c, lower_case) || is_one_of(c, digits); };
    const bool good = text.size() >= 3 && text.size() <= 128 && consists_of(text, lower_case, digits, "-._") &&
                      is_end(text.front()) && is_end(text.back()) && text.find("..") == std::string_view::npos;
    if (!good) {
        return Problem{in_quotes(text) + " is not an image name",
                       R"(use 3 to 128 lower-case letters, digits and inner "-", "." or "_", like "debian-12")"};
    }
    if (is_resource_id("ami-", text)) {
        return Problem{in_quotes(text) + " looks like an AMI id", R"(name it after its content, like "debian-12")"};
    }
    return std::string(text);
}

Checked<SemanticVersion> check_version(std::string_view text)
{
    if (const auto version = parse_semantic_version(text)) {
        return *version;
    }
    return Problem{in_quotes(text) + " is not a version", R"(write MAJOR.MINOR.PATCH, like "1.0.0")"};
}

Checked<std::string> check_description(std::string_view text)
{
    if (text.size() > longest_description) {
        return Problem{fmt::format("is longer than {} bytes", longest_description), "keep it to a sentence"};
    }
    return std::string(text);
}

Checked<std::string> check_architecture(std::string_view text)
{
    constexpr std::array<std::string_view, 1> supported{"x86_64"};
    return check_choice(text, supported);
}

Checked<std::string> check_package(std::string_view text)
{
    const bool good = text.size() >= 2 && text.size() <= longest_package_name &&
                      consists_of(text, lower_case, digits, "+.-") && !is_one_of(text.front(), "+.-");
    if (!good) {
        return Problem{in_quotes(text) + " is not a Debian package name",
                       R"(lower-case letters, digits, "+", "-" and "."; the archive's newest version is taken)"};
    }
    return std::string(text);
}

Checked<std::string> check_distribution(std::string_view text)
{
    constexpr std::array<std::string_view, 1> supported{"debian"};
    return check_choice(text, supported);
}

Checked<std::string> check_suite(std::string_view text)
{
    if (text.empty() || text.size() > 64 || !consists_of(text, lower_case)) {
        return Problem{in_quotes(text) + " is not a suite", R"(write its code name, like "bookworm")"};
    }
    return std::string(text);
}

Checked<std::string> check_mirror(std::string_view text)
{
    constexpr std::array<std::string_view, 4> schemes{"http://", "https://", "file:///", "copy:///"};
    const bool good =
        text.size() <= longest_url && is_visible_ascii(text) &&
        std::ranges::any_of(schemes, [&](std::string_view scheme) {
            return text.starts_with(scheme) && text.size() > scheme.size() && !is_one_of(text[scheme.size()], "-/:?#");
        });
    if (!good) {
        return Problem{in_quotes(text) + " is not a mirror's URL",
                       "it starts with http://, https://, file:/// or copy:/// and holds no spaces"};
    }
    return std::string(text);
}

Checked<std::string> check_device(std::string_view text)
{
    constexpr std::array<std::string_view, 1> supported{"/dev/vda"};
    return check_choice(text, supported);
}

Checked<ByteSize> check_volume_size(std::string_view text)
{
    const auto size = parse_byte_size(text);
    if (!size) {
        return Problem{in_quotes(text) + " is not a size"};
    }
    const std::string range = fmt::format("a root volume has at least {} and at most {}", to_string(smallest_volume),
                                          to_string(largest_volume));
    if (size->bytes() < smallest_volume.bytes()) {
        return Problem{in_quotes(text) + " is too small", range};
    }
    if (size->bytes() > largest_volume.bytes()) {
        return Problem{in_quotes(text) + " is too large", range};
    }
    if (size->bytes() % mebibytes(1).bytes() != 0) {
        return Problem{in_quotes(text) + " is not a whole number of MiB"};
    }
    return *size;
}

Checked<std::string> check_filesystem(std::string_view text)
{
    constexpr std::array<std::string_view, 1> supported{"ext4"};
    return check_choice(text, supported);
}

} // namespace

namespace rules
{

const Rule<std::string> image_name{check_image_name, R"("debian-12")"};
const Rule<SemanticVersion> version{check_version, R"("1.0.0")"};
const Rule<std::string> description{check_description, R"("What the image is for")"};
const Rule<std::string> architecture{check_architecture, R"("x86_64")"};
const Rule<std::string> package{check_package, R"("openssh-server")"};
const Rule<std::string> distribution{check_distribution, R"("debian")"};
const Rule<std::string> suite{check_suite, R"("bookworm")"};
const Rule<std::string> mirror{check_mirror, R"("http://deb.debian.org/debian")"};
const Rule<std::string> device{check_device, R"("/dev/vda")"};
const Rule<ByteSize> volume_size{check_volume_size, R"("2GiB")"};
const Rule<std::string> filesystem{check_filesystem, R"("ext4")"};

} // namespace rules
} // namespace kiln::recipes
