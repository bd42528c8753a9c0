// SPDX-License-Identifier: Apache-2.0
#include "core/json.h"

#include "core/error.h"

#include <fmt/format.h>

#include <set>
#include <vector>

namespace kiln
{
namespace
{

constexpr int deepest_level = 64;

void refuse_floats(const Json& value)
{
    if (value.is_number_float()) {
        throw Error(ErrorKind::internal, "a canonical document can't hold a floating point number");
    }
    if (value.is_structured()) {
        for (const Json& child : value) {
            refuse_floats(child);
        }
    }
}

} // namespace

std::string canonical_json(const Json& value)
{
    refuse_floats(value);
    try {
        return value.dump();
    } catch (const Json::exception& error) {
        throw Error(ErrorKind::internal, fmt::format("a document can't be written as JSON: {}", error.what()));
    }
}

Json parse_json(std::string_view text, std::string_view what)
{
    std::vector<std::set<std::string>> keys;
    const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > deepest_level) {
            throw Error(ErrorKind::io, fmt::format("{} is nested more than {} deep", what, deepest_level));
        }
        if (event == Json::parse_event_t::object_start) {
            keys.emplace_back();
        } else if (event == Json::parse_event_t::object_end) {
            keys.pop_back();
        } else if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
            throw Error(ErrorKind::io, fmt::format("{} has the key \"{}\" twice", what, parsed.get<std::string>()));
        }
        return true;
    };
    try {
        return Json::parse(text, check);
    } catch (const Json::exception& error) {
        throw Error(ErrorKind::io, fmt::format("{} is not valid JSON: {}", what, error.what()));
    }
}

const Json& member(const Json& object, std::string_view key, std::string_view what)
{
    if (!object.is_object() || !object.contains(key)) {
        throw Error(ErrorKind::io, fmt::format("{} lacks \"{}\"", what, key));
    }
    return object.at(std::string(key));
}

namespace
{

[[noreturn]] void wrong_type(std::string_view key, std::string_view what, std::string_view wanted)
{
    throw Error(ErrorKind::io, fmt::format("{}: \"{}\" is not {}", what, key, wanted));
}

} // namespace

std::string string_member(const Json& object, std::string_view key, std::string_view what)
{
    const Json& value = member(object, key, what);
    if (!value.is_string()) {
        wrong_type(key, what, "a string");
    }
    return value.get<std::string>();
}

std::int64_t integer_member(const Json& object, std::string_view key, std::string_view what)
{
    const Json& value = member(object, key, what);
    if (!value.is_number_integer()) {
        wrong_type(key, what, "an integer");
    }
    return value.get<std::int64_t>();
}

bool bool_member(const Json& object, std::string_view key, std::string_view what)
{
    const Json& value = member(object, key, what);
    if (!value.is_boolean()) {
        wrong_type(key, what, "true or false");
    }
    return value.get<bool>();
}

} // namespace kiln
