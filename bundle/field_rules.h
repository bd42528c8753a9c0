// SPDX-License-Identifier: Apache-2.0
// The shapes of the manifest's text fields, as docs/bundle-format.md gives them.
#pragma once

#include <string_view>

namespace kiln::bundle
{

[[nodiscard]] bool is_device(std::string_view text);      // /dev/vda to /dev/vdz
[[nodiscard]] bool is_time(std::string_view text);        // 2026-11-23T17:44:58Z, a day that exists
[[nodiscard]] bool is_date(std::string_view text);        // 2026-11-23, a day that exists
[[nodiscard]] bool is_account(std::string_view text);     // 12 decimal digits
[[nodiscard]] bool is_file_system(std::string_view text); // lower-case letters, digits, "_"
[[nodiscard]] bool is_mount_point(std::string_view text); // absolute, without "." and ".."
[[nodiscard]] bool is_part_name(std::string_view text);   // of a partition or volume: letters, digits, "-", "_", "."
[[nodiscard]] bool is_type_name(std::string_view text);   // of an instance or volume: lower-case, digits, "-", "."
[[nodiscard]] bool is_url_path(std::string_view text);    // "/" and visible ASCII characters without "#"

} // namespace kiln::bundle
