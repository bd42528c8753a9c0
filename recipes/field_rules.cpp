// SPDX-License-Identifier: Apache-2.0
// The rules for the head of a recipe and its base.
#include "recipes/field_rules.h"

#include "core/names.h"
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

constexpr std::size_t longest_package_name = 128;
constexpr std::size_t longest_url = 2048;

} // namespace

Checked<std::string> check_package(std::string_view text)
{
    const bool good = text.size() >= 2 && text.size() <= longest_package_name &&
                      consists_of(text, lower_case, digits, "+.-") && !is_one_of(text.front(), "+.-");
    if (!good) {
        return Problem{
            in_quotes(text) + " is not a Debian package name",
            R"(lower-case letters, digits, "+", "-" and "."; the archive's newest version is taken; a `packages` step can pin one)"};
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

namespace
{

constexpr std::size_t longest_description = 1024;

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

Checked<VersionPattern> check_image_version(std::string_view text)
{
    const auto pattern = parse_version_pattern(text);
    if (pattern && pattern->major && pattern->minor) {
        return *pattern;
    }
    return Problem{in_quotes(text) + " is not a version",
                   R"(write MAJOR.MINOR.PATCH, like "1.0.0", or "1.0.x" for the next free patch)"};
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

Checked<std::string> check_archive_component(std::string_view text)
{
    if (text.empty() || text.size() > 64 || !consists_of(text, lower_case, digits, "-_./") ||
        !is_one_of(text.front(), lower_case) || has_odd_component(text)) {
        return Problem{in_quotes(text) + " is not a component of an archive", R"(like "main" or "non-free-firmware")"};
    }
    return std::string(text);
}

Checked<std::string> check_variant(std::string_view text)
{
    // Those of mmdebstrap that bring apt, which later steps need.
    constexpr std::array<std::string_view, 6> supported{"apt",    "required",  "minbase",
                                                        "buildd", "important", "standard"};
    return check_choice(text, supported);
}

Checked<AmiBase> check_image_reference(std::string_view text)
{
    const std::size_t at = text.find('@');
    const auto name = check_image_name(text.substr(0, at));
    if (const auto* problem = std::get_if<Problem>(&name)) {
        return *problem;
    }
    const std::string_view version = at == std::string_view::npos ? "x.x.x" : text.substr(at + 1);
    // A channel is the region's: any version that it names will do.
    const auto pattern = is_channel_name(version) ? VersionPattern() : parse_version_pattern(version);
    if (!pattern) {
        return Problem{in_quotes(version) + " is not a version",
                       R"("1.4.2", or with x from the right: "1.4.x", "1.x.x")"};
    }
    return AmiBase{.name = std::get<std::string>(name), .version = *pattern, .reference = std::string(text)};
}

Checked<std::string> check_host_path(std::string_view text)
{
    if (text.find("://") != std::string_view::npos) {
        return Problem{in_quotes(text) + " is a URL",
                       "download it first, and state its sha256: a build reads only files"};
    }
    const std::string_view relative = text.starts_with('/') ? text.substr(1) : text;
    if (text.size() > 4095 || has_odd_component(relative)) {
        return Problem{in_quotes(text) + " is not a file's path",
                       R"(absolute, or relative to the recipe and below its folder; without "..", "." or "//")"};
    }
    return std::string(text);
}

Checked<std::string> check_disk_format(std::string_view text)
{
    constexpr std::array<std::string_view, 3> supported{"qcow2", "raw", "vmdk"};
    return check_choice(text, supported);
}

Checked<std::string> check_rootfs_format(std::string_view text)
{
    constexpr std::array<std::string_view, 2> supported{"tar", "oci"};
    return check_choice(text, supported);
}

Checked<Digest> check_sha256(std::string_view text)
{
    const std::string whole = text.starts_with("sha256:") ? std::string(text) : fmt::format("sha256:{}", text);
    if (const auto digest = Digest::parse(whole)) {
        return *digest;
    }
    return Problem{in_quotes(text) + " is not a SHA-256", "64 lower-case hex digits, as sha256sum prints them"};
}

} // namespace

namespace rules
{

const Rule<std::string> image_name{check_image_name, R"("debian-12")"};
const Rule<SemanticVersion> version{check_version, R"("1.0.0")"};
const Rule<VersionPattern> image_version{check_image_version, R"("1.0.0")"};
const Rule<std::string> description{check_description, R"("What the image is for")"};
const Rule<std::string> architecture{check_architecture, R"("x86_64")"};
const Rule<std::string> package{check_package, R"("openssh-server")"};
const Rule<std::string> distribution{check_distribution, R"("debian")"};
const Rule<std::string> suite{check_suite, R"("bookworm")"};
const Rule<std::string> mirror{check_mirror, R"("http://deb.debian.org/debian")"};
const Rule<std::string> archive_component{check_archive_component, R"("main")"};
const Rule<std::string> variant{check_variant, R"("minbase")"};
const Rule<AmiBase> image_reference{check_image_reference, R"("debian-12@1.x.x")"};
const Rule<std::string> host_path{check_host_path, R"("images/debian.qcow2")"};
const Rule<std::string> disk_format{check_disk_format, R"("qcow2")"};
const Rule<std::string> rootfs_format{check_rootfs_format, R"("tar")"};
const Rule<Digest> sha256{check_sha256, R"("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")"};

} // namespace rules
} // namespace kiln::recipes
