// SPDX-License-Identifier: Apache-2.0
#include "builder/guest_accounts.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace kiln::builder
{
namespace
{

std::vector<std::string_view> split(std::string_view text, char separator)
{
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == text.npos) {
            return parts;
        }
        text.remove_prefix(end + 1);
    }
}

// (uid_t)-1 is no id: chown(2) takes it for "leave it".
std::optional<std::uint32_t> parse_id(std::string_view text)
{
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size() || id == UINT32_MAX) {
        return std::nullopt;
    }
    return id;
}

std::string read(Appliance& appliance, const std::string& path)
{
    return appliance.is_file(path) ? appliance.read_file(path) : "";
}

} // namespace

std::vector<GuestUser> parse_passwd(std::string_view passwd)
{
    std::vector<GuestUser> users;
    for (const std::string_view line : split(passwd, '\n')) {
        const std::vector<std::string_view> fields = split(line, ':');
        if (fields.size() != 7 || fields[0].empty()) {
            continue;
        }
        const auto id = parse_id(fields[2]);
        const auto group = parse_id(fields[3]);
        if (id && group) {
            users.push_back({std::string(fields[0]), *id, *group, std::string(fields[5])});
        }
    }
    return users;
}

std::optional<std::uint32_t> find_group_id(std::string_view group_file, std::string_view name)
{
    for (const std::string_view line : split(group_file, '\n')) {
        const std::vector<std::string_view> fields = split(line, ':');
        if (fields.size() == 4 && fields[0] == name) {
            return parse_id(fields[2]);
        }
    }
    return std::nullopt;
}

std::string read_passwd(Appliance& appliance)
{
    return read(appliance, "/etc/passwd");
}

std::string read_group(Appliance& appliance)
{
    return read(appliance, "/etc/group");
}

OwnerIds owner_ids(Appliance& appliance, const std::string& owner, const std::string& group)
{
    if (owner == "root" && group == "root") {
        return {0, 0};
    }
    const std::vector<GuestUser> users = parse_passwd(read_passwd(appliance));
    const auto user = std::ranges::find(users, owner, &GuestUser::name);
    if (user == users.end()) {
        throw Error(ErrorKind::step_failed, fmt::format("the image has no user \"{}\"", owner),
                    "add a `user` step before this one");
    }
    const auto group_id = find_group_id(read_group(appliance), group);
    if (!group_id) {
        throw Error(ErrorKind::step_failed, fmt::format("the image has no group \"{}\"", group),
                    "add a `group` step before this one");
    }
    return {user->id, *group_id};
}

} // namespace kiln::builder
