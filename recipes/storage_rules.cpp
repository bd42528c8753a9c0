// SPDX-License-Identifier: Apache-2.0
// The rules for [[storage]].
#include "recipes/field_rules.h"
#include "recipes/rule_helpers.h"

#include <fmt/format.h>

#include <array>

namespace kiln::recipes
{

Checked<ByteSize> check_size(std::string_view text, std::string_view noun, ByteSize least, ByteSize most)
{
    const auto size = parse_byte_size(text);
    if (!size) {
        return Problem{in_quotes(text) + " is not a size"};
    }
    const std::string range = fmt::format("{} has at least {} and at most {}", noun, to_string(least), to_string(most));
    if (*size < least) {
        return Problem{in_quotes(text) + " is too small", range};
    }
    if (*size > most) {
        return Problem{in_quotes(text) + " is too large", range};
    }
    if (size->bytes() % mebibytes(1).bytes() != 0) {
        return Problem{in_quotes(text) + " is not a whole number of MiB"};
    }
    return *size;
}

namespace
{

constexpr ByteSize largest_volume = gibibytes(64 * std::uint64_t{1024});
constexpr std::size_t longest_option = 128;
constexpr std::size_t longest_label = 255; // btrfs's; parse_layout.cpp knows the others
constexpr std::size_t longest_name = 36;   // of a GPT partition

Checked<std::string> check_device(std::string_view text)
{
    constexpr std::string_view start = "/dev/vd";
    const bool good = text.starts_with(start) && text.size() == start.size() + 1 && is_one_of(text.back(), lower_case);
    if (!good) {
        return Problem{in_quotes(text) + " is not a device of a volume", R"("/dev/vda" to "/dev/vdz")"};
    }
    return std::string(text);
}

Checked<ByteSize> check_root_volume_size(std::string_view text)
{
    return check_size(text, "a root volume", mebibytes(512), largest_volume);
}

Checked<ByteSize> check_volume_size(std::string_view text)
{
    return check_size(text, "a data volume", mebibytes(16), largest_volume);
}

Checked<ByteSize> check_part_size(std::string_view text)
{
    return check_size(text, "a part of a volume", mebibytes(1), largest_volume);
}

Checked<std::string> check_volume_type(std::string_view text)
{
    constexpr std::array<std::string_view, 7> supported{"gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"};
    return check_choice(text, supported);
}

Checked<std::string> check_filesystem(std::string_view text)
{
    constexpr std::array<std::string_view, 5> supported{"ext4", "xfs", "btrfs", "vfat", "swap"};
    return check_choice(text, supported);
}

// Whether `path` is one of the folders, or below it.
bool is_at_or_below(std::string_view path, std::span<const std::string_view> folders)
{
    return std::ranges::any_of(folders, [&](std::string_view folder) {
        return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
    });
}

Checked<std::string> check_mount(std::string_view text)
{
    constexpr std::array<std::string_view, 4> kernels{"/proc", "/sys", "/dev", "/run"};
    constexpr std::array<std::string_view, 7> needed{"/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
    if (text == "/") {
        return Problem{R"("/" is where the root file system is)", "the first volume's last partition is mounted there"};
    }
    auto path = check_guest_path(text);
    if (std::holds_alternative<Problem>(path)) {
        return path;
    }
    if (is_at_or_below(text, kernels) || is_at_or_below(text, needed)) {
        return Problem{fmt::format("nothing can be mounted at {}", in_quotes(text)),
                       "the system needs that place before it mounts anything; use /srv, /var/lib/... or /home"};
    }
    if (!is_visible_ascii(text) || text.find_first_of("\"'\\#") != std::string_view::npos) {
        return Problem{in_quotes(text) + " has a character that a mount point may not have",
                       "no spaces, quotes, \"#\" or backslashes"};
    }
    return path;
}

Checked<std::string> check_any_mount(std::string_view text)
{
    return text == "/" ? std::string(text) : check_mount(text);
}

Checked<std::string> check_mount_option(std::string_view text)
{
    const bool good = !text.empty() && text.size() <= longest_option &&
                      consists_of(text, lower_case, upper_case, digits, "=_-.:/+%@") && !is_one_of(text.front(), "-=");
    if (!good) {
        return Problem{in_quotes(text) + " is not a mount option",
                       R"(one option an item, like ["noatime", "commit=30"]; no commas, spaces or quotes)"};
    }
    return std::string(text);
}

Checked<std::string> check_label(std::string_view text)
{
    const bool good = !text.empty() && text.size() <= longest_label &&
                      consists_of(text, lower_case, upper_case, digits, "_-.") && !is_one_of(text.front(), "-.");
    if (!good) {
        return Problem{in_quotes(text) + " is not a label", R"(letters, digits, "_", "-" and ".")"};
    }
    return std::string(text);
}

// As lvm(8) has it, and short enough for a GPT.
Checked<std::string> check_part_name(std::string_view text)
{
    constexpr std::array<std::string_view, 2> reserved{"snapshot", "pvmove"};
    constexpr std::array<std::string_view, 13> infixes{"_cdata", "_cmeta",   "_corig",  "_iorig", "_mimage",
                                                       "_mlog",  "_pmspare", "_rimage", "_rmeta", "_tdata",
                                                       "_tmeta", "_vdata",   "_vorigin"};
    const bool good = !text.empty() && text.size() <= longest_name &&
                      consists_of(text, lower_case, upper_case, digits, "_-.") && !is_one_of(text.front(), "-.");
    if (!good) {
        return Problem{in_quotes(text) + " is not the name of a partition or volume",
                       R"(letters, digits, "_", "-" and ".", at most 36)"};
    }
    if (std::ranges::any_of(reserved, [&](std::string_view word) { return text.starts_with(word); }) ||
        std::ranges::any_of(infixes,
                            [&](std::string_view word) { return text.find(word) != std::string_view::npos; })) {
        return Problem{in_quotes(text) + " is a name that LVM keeps for itself", "take another name"};
    }
    return std::string(text);
}

} // namespace

namespace rules
{

const Rule<std::string> device{check_device, R"("/dev/vda")"};
const Rule<ByteSize> root_volume_size{check_root_volume_size, R"("2GiB")"};
const Rule<ByteSize> volume_size{check_volume_size, R"("2GiB")"};
const Rule<ByteSize> part_size{check_part_size, R"("512MiB")"};
const Rule<std::string> volume_type{check_volume_type, R"("gp3")"};
const Rule<std::string> filesystem{check_filesystem, R"("ext4")"};
const Rule<std::string> mount{check_mount, R"("/srv")"};
const Rule<std::string> any_mount{check_any_mount, R"("/")"};
const Rule<std::string> mount_option{check_mount_option, R"("noatime")"};
const Rule<std::string> label{check_label, R"("data")"};
const Rule<std::string> part_name{check_part_name, R"("data")"};

} // namespace rules
} // namespace kiln::recipes
