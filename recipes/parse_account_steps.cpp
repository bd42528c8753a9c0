// SPDX-License-Identifier: Apache-2.0
// Steps that make accounts: `user`, `group`.
#include "recipes/step_parsers.h"

#include <fmt/format.h>

namespace kiln::recipes
{
namespace
{

// 65534 is nobody, 65535 and 4294967295 are -1 to system calls of 16 and 32 bits.
std::optional<std::uint32_t> parse_id(TableReader& table, std::string_view key)
{
    const auto id = table.find_integer(key, "1000", 1, 2'147'483'647);
    if (id && (*id == 65534 || *id == 65535)) {
        table.fail(key, {fmt::format("{} is reserved", *id), "take another number"});
    }
    return id ? std::optional(static_cast<std::uint32_t>(*id)) : std::nullopt;
}

} // namespace

UserStep parse_user(TableReader& table)
{
    UserStep step;
    step.name = table.require("user", rules::new_user).value_or("");
    step.uid = parse_id(table, "uid");
    step.comment = table.find("comment", rules::user_comment).value_or("");
    step.home = table.find("home", rules::home).value_or("");
    step.groups = table.find_list("groups", rules::account);
    step.shell = table.find("shell", rules::shell).value_or(step.shell);
    step.system = table.find_flag("system", step.system);
    step.sudo = table.find_flag("sudo", step.sudo);
    step.password_hash = table.find("password_hash", rules::password_hash);
    step.ssh_authorized_keys = table.find_list("ssh_authorized_keys", rules::authorized_key);
    return step;
}

GroupStep parse_group(TableReader& table)
{
    GroupStep step;
    step.name = table.require("group", rules::new_group).value_or("");
    step.gid = parse_id(table, "gid");
    step.system = table.find_flag("system", step.system);
    step.members = table.find_list("members", rules::account);
    return step;
}

} // namespace kiln::recipes
