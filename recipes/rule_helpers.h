// SPDX-License-Identifier: Apache-2.0
// Small parts that the rules are made of.
#pragma once

#include "recipes/field_rules.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

namespace kiln::recipes
{

constexpr std::string_view lower_case = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view upper_case = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view digits = "0123456789";

constexpr bool is_one_of(char c, std::string_view set)
{
    return set.find(c) != std::string_view::npos;
}

// Whether each character of `text` is in one of the sets.
template <class... Sets> constexpr bool consists_of(std::string_view text, Sets... sets)
{
    return std::ranges::all_of(text, [&](char c) { return (is_one_of(c, sets) || ...); });
}

// ASCII from "!" to "~": nothing that can be mistaken for another character.
constexpr bool is_visible_ascii(std::string_view text)
{
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

// `text`, or the problem that it is none of `supported`.
[[nodiscard]] Checked<std::string> check_choice(std::string_view text, std::span<const std::string_view> supported);

// Rules that others are made of.
[[nodiscard]] Checked<std::string> check_package(std::string_view text);
[[nodiscard]] Checked<std::string> check_guest_path(std::string_view text);
[[nodiscard]] Checked<std::string> check_mirror(std::string_view text);
// A whole number of MiB from `least` to `most`; `noun` like "a root volume".
[[nodiscard]] Checked<ByteSize> check_size(std::string_view text, std::string_view noun, ByteSize least, ByteSize most);

// Whether a component of the slash-separated `path` is "..", "." or empty.
[[nodiscard]] bool has_odd_component(std::string_view path);

} // namespace kiln::recipes
