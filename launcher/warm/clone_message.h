// SPDX-License-Identifier: Apache-2.0
// What the host tells a clone, and the template before it: named values, also with any bytes. Used on both sides, so
// it needs the standard library alone. On the line: "kiln-clone-1 LENGTH\n", then LENGTH bytes: for each value
// "NAME LENGTH\n", its bytes and "\n".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::launcher
{

inline constexpr std::string_view clone_port = "org.kiln.clone.0"; // the virtio-serial port that it goes through
inline constexpr std::size_t longest_clone_message = std::size_t{1} << 20U;

// A name may come several times; it has no space and no line's end.
using CloneMessage = std::vector<std::pair<std::string, std::string>>;

[[nodiscard]] std::string encode(const CloneMessage& message);

// Of bytes that have come so far: nullopt while some are missing. `bad` is set when no message can begin like that.
[[nodiscard]] std::optional<CloneMessage> decode(std::string_view bytes, bool& bad);

// The first value of that name, or nullptr.
[[nodiscard]] const std::string* find_value(const CloneMessage& message, std::string_view name);

} // namespace kiln::launcher
