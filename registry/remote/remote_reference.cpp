// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/remote_reference.h"

#include "core/error.h"
#include "core/text.h"
#include "core/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kiln::registry::remote
{
namespace
{

constexpr std::string_view scheme = "oci://";
constexpr std::size_t longest_repository = 255;

bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_word(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

// Letters and digits with single ".", one or two "_" or any "-" between them.
bool is_component(std::string_view text)
{
    if (text.empty() || !is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back())) {
        return false;
    }
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of("._-"), text.size());
        if (!std::ranges::all_of(text.substr(0, end), is_lower_or_digit)) {
            return false;
        }
        text.remove_prefix(end);
        const std::size_t next = text.find_first_not_of("._-");
        const std::string_view separator = text.substr(0, next);
        if (!separator.empty() && separator != "." && separator != "_" && separator != "__" &&
            separator.find_first_not_of('-') != std::string_view::npos) {
            return false;
        }
        text.remove_prefix(separator.size());
    }
    return true;
}

bool is_repository(std::string_view text)
{
    if (text.size() > longest_repository) {
        return false;
    }
    for (;;) {
        const std::size_t slash = text.find('/');
        if (!is_component(text.substr(0, slash))) {
            return false;
        }
        if (slash == std::string_view::npos) {
            return true;
        }
        text.remove_prefix(slash + 1);
    }
}

bool is_port(std::string_view text)
{
    unsigned port = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
    return failure == std::errc() && end == text.data() + text.size() && text.size() <= 5 && port >= 1 && port <= 65535;
}

bool is_host(std::string_view text)
{
    const std::size_t colon = text.starts_with('[') ? text.find("]:") : text.find(':');
    const std::size_t end = text.starts_with('[') && colon != std::string_view::npos ? colon + 1 : colon;
    const std::string_view name = text.substr(0, end);
    if (end != std::string_view::npos && !is_port(text.substr(end + 1))) {
        return false;
    }
    const bool is_address =
        name.starts_with('[') && name.ends_with(']') &&
        name.substr(1, name.size() - 2).find_first_not_of("0123456789abcdef:.") == std::string_view::npos;
    const bool is_name = !name.empty() && name.size() <= 253 && is_lower_or_digit(name.front()) &&
                         is_lower_or_digit(name.back()) && name.find("..") == std::string_view::npos &&
                         std::ranges::all_of(name, [](char c) { return is_lower_or_digit(c) || c == '-' || c == '.'; });
    return (is_address || is_name) && parse_url(fmt::format("https://{}/", text)).has_value();
}

[[noreturn]] void refuse_reference(std::string_view complaint)
{
    throw Error(ErrorKind::usage, fmt::format("the remote's address is malformed: {}", complaint),
                "it is like oci://registry.example:5000/images/web:1.0.0");
}

} // namespace

bool is_tag(std::string_view text)
{
    return !text.empty() && text.size() <= 128 && is_word(text.front()) &&
           std::ranges::all_of(text, [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

std::string RemoteReference::to_string() const
{
    return fmt::format("{}{}{}{}", scheme, name(), tag ? ":" + *tag : "", digest ? "@" + digest->to_string() : "");
}

RemoteReference parse_remote_reference(std::string_view text)
{
    if (!text.starts_with(scheme)) {
        refuse_reference("it does not begin with oci://");
    }
    text.remove_prefix(scheme.size());
    RemoteReference reference;
    const std::size_t slash = text.find('/');
    if (text.substr(0, slash).find('@') != std::string_view::npos) {
        throw Error(ErrorKind::usage,
                    "the remote's address holds a name or password, which everybody on the host can see",
                    "put it into a file (docs/remotes.md), and change that password");
    }
    if (slash == std::string_view::npos) {
        refuse_reference("no repository follows the host");
    }
    reference.host = text.substr(0, slash);
    text.remove_prefix(slash + 1);
    if (const std::size_t at = text.find('@'); at != std::string_view::npos) {
        reference.digest = Digest::parse(text.substr(at + 1));
        if (!reference.digest) {
            refuse_reference("what follows @ is not sha256: and 64 lower-case hex digits");
        }
        text = text.substr(0, at);
    }
    if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        reference.tag = text.substr(colon + 1);
        if (!is_tag(*reference.tag)) {
            refuse_reference("what follows the last : is not a tag (1 to 128 of A-Z a-z 0-9 _ . -)");
        }
        text = text.substr(0, colon);
    }
    reference.repository = text;
    if (!is_host(reference.host)) {
        refuse_reference("its host is not a name or address in lower case, with a port or without");
    }
    if (!is_repository(text)) {
        refuse_reference("its repository is not made of lower-case letters and digits, with . _ - and / between them");
    }
    return reference;
}

} // namespace kiln::registry::remote
