// SPDX-License-Identifier: Apache-2.0
// What each text field of a recipe may hold. Every rule assumes hostile text; hidden characters
// (see find_hidden_character) are refused before a rule sees its text.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"
#include "core/semantic_version.h"
#include "recipes/recipe.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace kiln::recipes
{

struct Problem {
    std::string message; // continues "storage[0].size: "
    std::string hint{};  // empty: the rule's example
    bool secret = false; // its line must not be shown
};

template <class T> using Checked = std::variant<T, Problem>;

template <class T> struct Rule {
    Checked<T> (*check)(std::string_view text);
    std::string_view example; // as TOML: "\"2GiB\""
    bool lines = false;       // newlines and tabs are welcome
};

// `text` in quotes, made printable and shortened to about 60 characters.
[[nodiscard]] std::string in_quotes(std::string_view text);

// `text` in one line of at most `most` bytes, cut between characters, "..." at the end when it was cut.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t most);

// What is in `text` and shows wrongly or not at all: "a control character", "an invisible character", ...
[[nodiscard]] std::optional<std::string_view> find_hidden_character(std::string_view text, bool lines);

namespace rules
{

extern const Rule<std::string> image_name;
extern const Rule<SemanticVersion> version;
extern const Rule<VersionPattern> image_version; // exact, or with an x as its patch
extern const Rule<std::string> description;
extern const Rule<std::string> architecture;
extern const Rule<std::string> package;

extern const Rule<std::string> distribution;
extern const Rule<std::string> suite;
extern const Rule<std::string> mirror;
extern const Rule<std::string> archive_component;
extern const Rule<std::string> variant; // of mmdebstrap's, those with apt
extern const Rule<AmiBase> image_reference;
extern const Rule<std::string> host_path; // absolute, or below the recipe's folder
extern const Rule<std::string> disk_format;
extern const Rule<std::string> rootfs_format;
extern const Rule<Digest> sha256; // "sha256:" may be left out

extern const Rule<std::string> device;        // "/dev/vda" to "/dev/vdz"
extern const Rule<ByteSize> root_volume_size; // whole MiB, 512 MiB to 64 TiB
extern const Rule<ByteSize> volume_size;      // from 16 MiB
extern const Rule<ByteSize> part_size;        // from 1 MiB
extern const Rule<std::string> volume_type;   // EC2's
extern const Rule<std::string> filesystem;    // its type
extern const Rule<std::string> mount;         // absolute and normalized, and no place that the system needs itself
extern const Rule<std::string> any_mount;     // the same, or "/"
extern const Rule<std::string> mount_option;  // one word of fstab(5)
extern const Rule<std::string> label;         // of a file system
extern const Rule<std::string> part_name;     // of a partition, logical volume or volume group

extern const Rule<std::string> firmware;
extern const Rule<std::string> kernel_command_line;
extern const Rule<std::string> account_id; // 12 digits
extern const Rule<std::string> instance_type;
extern const Rule<ByteSize> memory_size;
extern const Rule<std::string> tag_key;
extern const Rule<std::string> tag_value;
extern const Rule<std::string> date; // of ISO 8601, that exists
extern const Rule<std::string> keep_pattern;

extern const Rule<std::string> guest_path;   // absolute and normalized, not "/"
extern const Rule<std::string> shell;        // the same, with another example
extern const Rule<std::string> home;         // the same, for passwd(5)
extern const Rule<std::string> guest_folder; // the same, or "/"
extern const Rule<std::string> source_path;  // relative, without ".."
extern const Rule<std::string> content;
extern const Rule<std::uint32_t> file_mode;
extern const Rule<std::string> account; // an existing user or group
extern const Rule<std::string> script;
extern const Rule<std::string> environment_name;
extern const Rule<std::string> environment_value;
extern const Rule<std::string> secret_name;
extern const Rule<std::chrono::seconds> duration; // 1 s to 24 h

extern const Rule<std::string> pinned_package; // "nginx" or "nginx=1.22.1-9"
extern const Rule<std::string> file_name;      // in a folder that programs read as a whole
extern const Rule<std::string> archive_uri;
extern const Rule<std::string> archive_suite;
extern const Rule<std::string> new_user;
extern const Rule<std::string> new_group;
extern const Rule<std::string> user_comment;
extern const Rule<std::string> password_hash; // of crypt(5), with a salt
extern const Rule<std::string> authorized_key;
extern const Rule<std::string> unit;
extern const Rule<std::string> drop_in; // text of a systemd unit
extern const Rule<std::string> hostname;
extern const Rule<std::string> timezone;
extern const Rule<std::string> locale; // with UTF-8
extern const Rule<std::string> sysctl_key;
extern const Rule<std::string> sysctl_value;
extern const Rule<std::string> kernel_module;

extern const Rule<std::string> test_name;
extern const Rule<std::string> command;
extern const Rule<std::string> output; // of a test: trimmed
extern const Rule<std::string> console_pattern;

} // namespace rules
} // namespace kiln::recipes
