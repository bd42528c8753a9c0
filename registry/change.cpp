// SPDX-License-Identifier: Apache-2.0
#include "registry/change.h"

#include "bundle/field_rules.h"
#include "core/error.h"
#include "core/names.h"
#include "core/text.h"
#include "registry/organizations.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::registry
{
namespace
{

void sort_once(std::vector<std::string>& names)
{
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
}

Change permissions_change(std::string_view action, LaunchPermissions permissions)
{
    std::vector<std::string>& accounts = permissions.accounts;
    for (const std::string& account : accounts) {
        if (!signing::is_account_id(account)) {
            throw Error(ErrorKind::usage, fmt::format("\"{}\" is not an account", printable(account, false)),
                        "an account has 12 digits");
        }
    }
    for (const std::string& name : permissions.organizations) {
        if (!is_organization_name(name)) {
            throw Error(ErrorKind::usage,
                        fmt::format("\"{}\" is not an organization", printable(name.substr(0, 200), false)),
                        "an organization has 1 to 63 lower-case letters, digits and inner -, a letter first");
        }
    }
    sort_once(accounts);
    sort_once(permissions.organizations);
    Change change{std::string(action), {{"public", permissions.everyone}, {"accounts", accounts}}};
    if (!permissions.organizations.empty()) { // else as Kilns that know no organizations read it
        change.arguments["organizations"] = permissions.organizations;
    }
    return change;
}

Change channel_change(const std::string& image_name, const std::string& channel, bool leave)
{
    if (!is_channel_name(channel)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a channel", printable(channel.substr(0, 200), false)),
                    "a channel has 1 to 32 lower-case letters, digits and inner -, and begins with a letter: stable");
    }
    return {std::string(action::channel), {{"name", image_name}, {"channel", channel}, {"leave", leave}}};
}

} // namespace

Change share_with(LaunchPermissions permissions)
{
    return permissions_change(action::share, std::move(permissions));
}

Change unshare_with(LaunchPermissions permissions)
{
    return permissions_change(action::unshare, std::move(permissions));
}

Change deprecate_at(const std::optional<std::string>& at)
{
    if (at && !bundle::is_time(*at)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a time", printable(at->substr(0, 200), false)),
                    "write a day like 2027-11-23, or a time like 2027-11-23T17:44:58Z");
    }
    return {std::string(action::deprecate), {{"at", at ? Json(*at) : Json()}}};
}

Change disable()
{
    return {std::string(action::disable), Json::object()};
}

Change enable()
{
    return {std::string(action::enable), Json::object()};
}

Change deregister()
{
    return {std::string(action::deregister), Json::object()};
}

Change take_channel(const std::string& image_name, const std::string& channel)
{
    return channel_change(image_name, channel, false);
}

Change leave_channel(const std::string& image_name, const std::string& channel)
{
    return channel_change(image_name, channel, true);
}

} // namespace kiln::registry
