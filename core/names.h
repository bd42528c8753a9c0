// SPDX-License-Identifier: Apache-2.0
// The shapes of names of regions and channels: what could be a path, an option or another kind of reference is none.
#pragma once

#include <string_view>

namespace kiln
{

// 1 to 63 lower-case letters, digits and inner "-", not of the form of an AMI id: a folder's name.
[[nodiscard]] bool is_region_name(std::string_view text);

// 1 to 32 lower-case letters, digits and inner "-", beginning with a letter: never a version, so that NAME@CHANNEL is
// no other reference.
[[nodiscard]] bool is_channel_name(std::string_view text);

} // namespace kiln
