// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/clone_message.h"

#include <charconv>

namespace kiln::launcher
{
namespace
{

constexpr std::string_view magic = "kiln-clone-1";

// Takes "NAME LENGTH\n" off `text`.
std::optional<std::pair<std::string, std::size_t>> take_heading(std::string_view& text)
{
    const std::size_t end = text.find('\n');
    const std::size_t space = text.substr(0, end).find(' ');
    if (end == std::string_view::npos || space == std::string_view::npos || space == 0) {
        return std::nullopt;
    }
    std::size_t length = 0;
    const char* last = text.data() + end;
    const auto [stopped, error] = std::from_chars(text.data() + space + 1, last, length);
    if (error != std::errc() || stopped != last || length > longest_clone_message) {
        return std::nullopt;
    }
    std::pair<std::string, std::size_t> heading{std::string(text.substr(0, space)), length};
    text.remove_prefix(end + 1);
    return heading;
}

} // namespace

std::string encode(const CloneMessage& message)
{
    std::string body;
    for (const auto& [name, value] : message) {
        body.append(name).append(" ").append(std::to_string(value.size())).append("\n").append(value).append("\n");
    }
    return std::string(magic) + " " + std::to_string(body.size()) + "\n" + body;
}

std::optional<CloneMessage> decode(std::string_view bytes, bool& bad)
{
    constexpr std::size_t longest_heading = 32;
    const std::size_t line = bytes.find('\n');
    if (line == std::string_view::npos) {
        bad = bytes.size() > longest_heading;
        return std::nullopt;
    }
    const auto heading = take_heading(bytes);
    bad = !heading || heading->first != magic;
    if (bad || bytes.size() < heading->second) {
        return std::nullopt;
    }
    bytes = bytes.substr(0, heading->second);
    CloneMessage message;
    while (!bytes.empty()) {
        auto value = take_heading(bytes);
        if (!value || bytes.size() <= value->second || bytes[value->second] != '\n') {
            bad = true;
            return std::nullopt;
        }
        message.emplace_back(std::move(value->first), bytes.substr(0, value->second));
        bytes.remove_prefix(value->second + 1);
    }
    return message;
}

const std::string* find_value(const CloneMessage& message, std::string_view name)
{
    for (const auto& [key, value] : message) {
        if (key == name) {
            return &value;
        }
    }
    return nullptr;
}

} // namespace kiln::launcher
