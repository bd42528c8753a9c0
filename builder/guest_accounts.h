// SPDX-License-Identifier: Apache-2.0
// The guest's users and groups, from its /etc/passwd and /etc/group. Both are hostile text: a line that is
// not as passwd(5) and group(5) say is no account.
#pragma once

#include "builder/appliance.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

struct GuestUser {
    std::string name;
    std::uint32_t id;
    std::uint32_t group;
    std::string home;

    bool operator==(const GuestUser&) const = default;
};

[[nodiscard]] std::vector<GuestUser> parse_passwd(std::string_view passwd);
[[nodiscard]] std::optional<std::uint32_t> find_group_id(std::string_view group_file, std::string_view name);

// The file's text; empty when it is missing, or is anything but a regular file.
[[nodiscard]] std::string read_passwd(Appliance& appliance);
[[nodiscard]] std::string read_group(Appliance& appliance);

struct OwnerIds {
    std::uint32_t user;
    std::uint32_t group;
};
// Throws Error{step_failed} for a name that the guest doesn't have.
[[nodiscard]] OwnerIds owner_ids(Appliance& appliance, const std::string& owner, const std::string& group);

} // namespace kiln::builder
