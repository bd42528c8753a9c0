// SPDX-License-Identifier: Apache-2.0
#include "registry/change.h"

#include "bundle/field_rules.h"
#include "core/error.h"
#include "core/names.h"
#include "core/text.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::registry
{
namespace
{

Change permissions_change(std::string_view action, LaunchPermissions permissions)
{
    std::vector<std::string>& accounts = permissions.accounts;
    for (const std::string& account : accounts) {
        if (!signing::is_account_id(account)) {
            throw Error(ErrorKind::usage, fmt::format("\"{}\" is not an account", printable(account, false)),
                        "an account has 12 digits");
        }
    }
    std::ranges::sort(accounts);
    accounts.erase(std::unique(accounts.begin(), accounts.end()), accounts.end());
    return {std::string(action), {{"public", permissions.everyone}, {"accounts", accounts}}};
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
