// SPDX-License-Identifier: Apache-2.0
#include "launcher/instance_type.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/paths.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kiln::launcher
{

namespace
{

constexpr std::int64_t newest_schema = 2;
constexpr std::int64_t one = 1'000'000;

bool is_type_name(std::string_view name)
{
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
    };
    return !name.empty() && name.size() <= 63 && name.front() >= 'a' && std::ranges::all_of(name, allowed);
}

[[noreturn]] void refuse(const std::string& file, const std::string& name, const char* why)
{
    throw Error(ErrorKind::io, fmt::format("{}: the instance type \"{}\" {}", file, printable(name, false), why),
                R"(a type is like {"name": "my.large", "vcpus": 2, "memory": "8 GiB", "price_per_hour": "0.08"})");
}

InstanceType type_from_json(const Json& entry, const std::string& file)
{
    InstanceType type;
    type.name = string_member(entry, "name", file);
    for (const auto& [key, value] : entry.items()) {
        if (key != "name" && key != "family" && key != "vcpus" && key != "memory" && key != "price_per_hour") {
            refuse(file, type.name, ("has an unknown field " + printable(key, false)).c_str());
        }
    }
    if (!is_type_name(type.name)) {
        refuse(file, type.name, "has a name that is not lower-case letters, digits, . and -");
    }
    const auto memory = parse_byte_size(string_member(entry, "memory", file));
    const std::int64_t vcpus = integer_member(entry, "vcpus", file);
    if (!memory || *memory < mebibytes(64) || memory->bytes() % mebibytes(1).bytes() != 0) {
        refuse(file, type.name, "has a memory that is not some MiB, 64 at least");
    }
    if (vcpus < 1 || vcpus > 255) {
        refuse(file, type.name, "has not 1 to 255 vcpus");
    }
    type.memory = *memory;
    type.vcpus = static_cast<unsigned>(vcpus);
    type.family =
        entry.contains("family") ? string_member(entry, "family", file) : type.name.substr(0, type.name.find('.'));
    if (entry.contains("price_per_hour")) {
        const auto price = parse_price(string_member(entry, "price_per_hour", file));
        if (!price) {
            refuse(file, type.name, "has a price that is not like \"0.0208\"");
        }
        type.price = *price;
    }
    return type;
}

Json load_document(const std::string& file)
{
    Json document = parse_json(read_file(file, mebibytes(1)), file);
    if (integer_member(document, "schema", file) > newest_schema) {
        throw Error(ErrorKind::io, fmt::format("{} is for a newer Kiln", file), "use that version of Kiln");
    }
    return document;
}

void add_types(std::vector<InstanceType>& types, const std::string& file)
{
    const Json document = load_document(file);
    for (const Json& entry : member(document, "types", file)) {
        InstanceType type = type_from_json(entry, file);
        if (std::ranges::find(types, type.name, &InstanceType::name) != types.end()) {
            refuse(file, type.name, "is there already");
        }
        types.push_back(std::move(type));
    }
}

} // namespace

std::optional<std::int64_t> parse_price(std::string_view text)
{
    std::int64_t whole = 0;
    const char* end = text.data() + text.size();
    const auto [point, error] = std::from_chars(text.data(), end, whole);
    if (error != std::errc{} || whole < 0 || whole > 1'000'000 || text.front() == '-') {
        return std::nullopt;
    }
    std::int64_t price = whole * one;
    if (point == end) {
        return price;
    }
    const std::string_view digits(point + 1, static_cast<std::size_t>(end - point - 1));
    if (*point != '.' || digits.empty() || digits.size() > 6) {
        return std::nullopt;
    }
    std::int64_t worth = one;
    for (const char digit : digits) {
        if (digit < '0' || digit > '9') {
            return std::nullopt;
        }
        worth /= 10;
        price += worth * (digit - '0');
    }
    return price;
}

std::string price_text(std::int64_t millionths)
{
    return fmt::format("{}.{:06}", millionths / one, millionths % one);
}

std::string currency()
{
    const std::string file = find_data_file("instance-types.json").native();
    return string_member(load_document(file), "currency", file);
}

std::filesystem::path user_types(const Paths& paths)
{
    return paths.home / "instance-types.json";
}

std::vector<InstanceType> load_instance_types(const std::filesystem::path& additions)
{
    std::vector<InstanceType> types;
    add_types(types, find_data_file("instance-types.json").native());
    if (!additions.empty() && std::filesystem::exists(additions)) {
        add_types(types, additions.native());
    }
    std::ranges::stable_sort(types, {}, &InstanceType::memory);
    return types;
}

InstanceType find_instance_type(std::string_view name, const std::filesystem::path& additions)
{
    const std::vector<InstanceType> types = load_instance_types(additions);
    const auto found = std::ranges::find(types, name, &InstanceType::name);
    if (found != types.end()) {
        return *found;
    }
    std::vector<std::string> names;
    std::vector<std::string_view> views;
    std::ranges::transform(types, std::back_inserter(names), &InstanceType::name);
    std::ranges::copy(names, std::back_inserter(views));
    const auto meant = near_miss(name, views);
    throw Error(ErrorKind::not_found, fmt::format("there is no instance type {}", printable(name, false)),
                fmt::format("{}the types are {}", meant ? "did you mean " + *meant + "? " : "", join(names, ", ")));
}

InstanceType choose_instance_type(const std::optional<std::string>& asked, const bundle::LaunchDefaults& launch,
                                  const std::filesystem::path& additions)
{
    const ByteSize needed = launch.minimum_memory.value_or(ByteSize());
    const std::vector<InstanceType> types = load_instance_types(additions); // smallest first
    const auto enough = std::ranges::find_if(types, [&](const InstanceType& type) { return needed <= type.memory; });
    if (enough == types.end()) {
        throw Error(ErrorKind::usage,
                    fmt::format("the AMI needs {} of memory, and no instance type has that", to_string(needed)),
                    types.empty()
                        ? ""
                        : fmt::format("the largest is {} with {}", types.back().name, to_string(types.back().memory)));
    }
    const std::optional<std::string>& named = asked ? asked : launch.instance_type;
    InstanceType type = find_instance_type(named.value_or("t3.small"), additions);
    if (needed <= type.memory) {
        return type;
    }
    if (!named) {
        return *enough;
    }
    throw Error(ErrorKind::usage,
                fmt::format("a {} has {} of memory, and the AMI needs {}", type.name, to_string(type.memory),
                            to_string(needed)),
                fmt::format("use --type {}", enough->name));
}

} // namespace kiln::launcher
