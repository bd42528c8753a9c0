// SPDX-License-Identifier: Apache-2.0
#include "bundle/object_reader.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace kiln::bundle
{
namespace
{

bool has_control_character(std::string_view text, Lines lines)
{
    const std::string shown = printable(text, lines == Lines::many);
    return shown != text;
}

} // namespace

ObjectReader::ObjectReader(const Json& json, std::string document, std::string path)
    : json_(&json), document_(std::move(document)), path_(std::move(path))
{
    if (!json.is_object()) {
        refuse("", "is not an object");
    }
}

void ObjectReader::refuse(std::string_view key, std::string_view complaint) const
{
    const std::string_view dot = path_.empty() || key.empty() ? "" : ".";
    const std::string field = path_ + std::string(dot) + printable(key.substr(0, 100), false);
    const std::string_view colon = field.empty() ? "" : ": ";
    throw Error(ErrorKind::untrusted, fmt::format("{}: {}{}{}", document_, field, colon, complaint));
}

bool ObjectReader::has(const std::string& key) const
{
    return json_->contains(key);
}

const Json& ObjectReader::any(const std::string& key)
{
    const auto found = json_->find(key);
    if (found == json_->end()) {
        refuse(key, "is missing");
    }
    read_.insert(key);
    return *found;
}

std::string ObjectReader::string(const std::string& key, std::size_t longest, Lines lines)
{
    const Json& value = any(key);
    if (!value.is_string()) {
        refuse(key, "is not a string");
    }
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > longest) {
        refuse(key, fmt::format("is longer than {} bytes", longest));
    }
    if (has_control_character(text, lines)) {
        refuse(key, "holds a control character");
    }
    return text;
}

std::optional<std::string> ObjectReader::string_or_null(const std::string& key, std::size_t longest, Lines lines)
{
    if (any(key).is_null()) {
        return std::nullopt;
    }
    return string(key, longest, lines);
}

std::int64_t ObjectReader::integer(const std::string& key, std::int64_t smallest, std::int64_t largest)
{
    const Json& value = any(key);
    if (!value.is_number_integer()) {
        refuse(key, "is not an integer");
    }
    const bool too_big = value.is_number_unsigned() && std::cmp_greater(value.get<std::uint64_t>(), INT64_MAX);
    const std::int64_t number = too_big ? INT64_MAX : value.get<std::int64_t>();
    if (too_big || number < smallest || number > largest) {
        refuse(key, fmt::format("is not between {} and {}", smallest, largest));
    }
    return number;
}

bool ObjectReader::boolean(const std::string& key)
{
    const Json& value = any(key);
    if (!value.is_boolean()) {
        refuse(key, "is not true or false");
    }
    return value.get<bool>();
}

Digest ObjectReader::digest(const std::string& key)
{
    auto digest = Digest::parse(string(key, 71));
    if (!digest) {
        refuse(key, "is not \"sha256:\" and 64 lower-case hexadecimal digits");
    }
    return *std::move(digest);
}

ObjectReader ObjectReader::object(const std::string& key)
{
    const Json& value = any(key);
    return {value, document_, path_.empty() ? key : path_ + "." + key};
}

const Json& ObjectReader::array(const std::string& key, std::size_t longest)
{
    const Json& value = any(key);
    if (!value.is_array()) {
        refuse(key, "is not an array");
    }
    if (value.size() > longest) {
        refuse(key, fmt::format("has more than {} elements", longest));
    }
    return value;
}

ObjectReader ObjectReader::element(const std::string& key, std::size_t index)
{
    const std::string prefix = path_.empty() ? key : path_ + "." + key;
    return {any(key).at(index), document_, fmt::format("{}[{}]", prefix, index)};
}

void ObjectReader::finish() const
{
    for (const auto& [key, value] : json_->items()) {
        if (!read_.contains(key)) {
            refuse(key, "is not a field that this version of Kiln knows");
        }
    }
}

} // namespace kiln::bundle
