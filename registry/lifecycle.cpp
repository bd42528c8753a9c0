// SPDX-License-Identifier: Apache-2.0
#include "registry/lifecycle.h"

#include "bundle/field_rules.h"
#include "core/error.h"
#include "core/names.h"
#include "core/random.h"
#include "core/text.h"
#include "registry/organizations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace kiln::registry
{
namespace
{

constexpr std::string_view event_arguments = "its arguments";

[[noreturn]] void refuse_event(std::string_view complaint, std::string hint = {})
{
    throw Error(ErrorKind::untrusted, std::string(complaint), std::move(hint));
}

// A day of a manifest begins at midnight, UTC.
std::string begin_of(const std::string& day)
{
    return day + "T00:00:00Z";
}

std::vector<std::string> accounts_of(const Json& arguments)
{
    const Json& list = member(arguments, "accounts", event_arguments);
    if (!list.is_array() || list.size() > most_launch_accounts) {
        refuse_event("its list of accounts is not one");
    }
    std::vector<std::string> accounts;
    for (const Json& account : list) {
        if (!account.is_string() || !bundle::is_account(account.get_ref<const std::string&>())) {
            refuse_event("its list of accounts holds something else");
        }
        accounts.push_back(account.get<std::string>());
    }
    if (std::ranges::adjacent_find(accounts, std::ranges::greater_equal()) != accounts.end()) {
        refuse_event("its list of accounts is not sorted, or has one twice");
    }
    return accounts;
}

// Those that an event names; one without the argument is what Kilns before organizations wrote.
std::vector<std::string> organizations_of(const Json& arguments)
{
    const auto found = arguments.find("organizations");
    if (found == arguments.end()) {
        return {};
    }
    std::vector<std::string> names;
    if (!found->is_array() || found->empty() || found->size() > most_launch_organizations) {
        refuse_event("its list of organizations is not one");
    }
    for (const Json& name : *found) {
        if (!name.is_string() || !is_organization_name(name.get_ref<const std::string&>())) {
            refuse_event("its list of organizations holds something else");
        }
        names.push_back(name.get<std::string>());
    }
    if (std::ranges::adjacent_find(names, std::ranges::greater_equal()) != names.end()) {
        refuse_event("its list of organizations is not sorted, or has one twice");
    }
    return names;
}

std::optional<std::string> time_or_null(const Json& arguments, std::string_view key)
{
    if (member(arguments, key, event_arguments).is_null()) {
        return std::nullopt;
    }
    std::string time = string_member(arguments, key, event_arguments);
    if (!bundle::is_time(time)) {
        refuse_event(fmt::format("its \"{}\" is not a time", key));
    }
    return time;
}

// As EC2 has it for a copy: whom the image was shared with elsewhere, and its age there, are not this one's.
void make_private(Image& image)
{
    image.launch_public = false;
    image.launch_accounts.clear();
    image.launch_organizations.clear();
    image.deprecated_at.reset();
}

void check_origin(const Json& arguments)
{
    const Json& from = member(arguments, "from", event_arguments);
    if (!is_region_name(string_member(from, "region", event_arguments)) ||
        !is_resource_id("ami-", string_member(from, "image", event_arguments))) {
        refuse_event("where it was copied from is malformed");
    }
}

void apply_share(Image& image, const Json& arguments)
{
    image.launch_public = image.launch_public || bool_member(arguments, "public", event_arguments);
    std::vector<std::string> all;
    std::ranges::set_union(image.launch_accounts, accounts_of(arguments), std::back_inserter(all));
    if (all.size() > most_launch_accounts) {
        refuse_event(fmt::format("it would be shared with more than {} accounts", most_launch_accounts));
    }
    image.launch_accounts = std::move(all);
    std::vector<std::string> organizations;
    std::ranges::set_union(image.launch_organizations, organizations_of(arguments), std::back_inserter(organizations));
    if (organizations.size() > most_launch_organizations) {
        refuse_event(fmt::format("it would be shared with more than {} organizations", most_launch_organizations));
    }
    image.launch_organizations = std::move(organizations);
}

void apply_unshare(Image& image, const Json& arguments)
{
    image.launch_public = image.launch_public && !bool_member(arguments, "public", event_arguments);
    std::vector<std::string> rest;
    std::ranges::set_difference(image.launch_accounts, accounts_of(arguments), std::back_inserter(rest));
    image.launch_accounts = std::move(rest);
    std::vector<std::string> organizations;
    std::ranges::set_difference(image.launch_organizations, organizations_of(arguments),
                                std::back_inserter(organizations));
    image.launch_organizations = std::move(organizations);
}

void check_channel(const Image& image, const Json& arguments)
{
    static_cast<void>(bool_member(arguments, "leave", event_arguments));
    if (string_member(arguments, "name", event_arguments) != image.name ||
        !is_channel_name(string_member(arguments, "channel", event_arguments))) {
        refuse_event("its channel is malformed, or of another name");
    }
}

void check_registration(const Image& image, const Json& arguments)
{
    if (string_member(arguments, "name", event_arguments) != image.name ||
        string_member(arguments, "version", event_arguments) != image.version.to_string() ||
        string_member(arguments, "architecture", event_arguments) != image.architecture) {
        refuse_event("it registers another name, version or architecture");
    }
}

struct Rule {
    std::string_view action;
    std::size_t arguments; // how many: one more could be a condition that this version would not honour
    void (*apply)(Image&, const Json&);
    std::string_view optional{}; // one more that it may have; apply() refuses one without a meaning
};

constexpr std::array rules{
    Rule{action::publish, 3, [](Image& image, const Json& arguments) { check_registration(image, arguments); }},
    Rule{action::copy, 4,
         [](Image& image, const Json& arguments) {
             check_registration(image, arguments);
             check_origin(arguments);
             make_private(image);
         }},
    Rule{action::import_bundle, 3,
         [](Image& image, const Json& arguments) {
             check_registration(image, arguments);
             make_private(image);
         }},
    Rule{action::share, 2, apply_share, "organizations"},
    Rule{action::unshare, 2, apply_unshare, "organizations"},
    Rule{action::deprecate, 1,
         [](Image& image, const Json& arguments) { image.deprecated_at = time_or_null(arguments, "at"); }},
    Rule{action::disable, 0, [](Image& image, const Json&) { image.state = ImageState::disabled; }},
    Rule{action::enable, 0, [](Image& image, const Json&) { image.state = ImageState::available; }},
    Rule{action::deregister, 0, [](Image& image, const Json&) { image.state = ImageState::deregistered; }},
    Rule{action::channel, 3, [](Image& image, const Json& arguments) { check_channel(image, arguments); }},
};

bool came_from_elsewhere(std::string_view action)
{
    return action == action::copy || action == action::import_bundle;
}

bool registers(std::string_view action)
{
    return action == action::publish || came_from_elsewhere(action);
}

void apply_rule(Image& image, const signing::Event& event)
{
    const auto* rule = std::ranges::find(rules, event.action, &Rule::action);
    if (rule == rules.end()) {
        refuse_event(fmt::format("this version of Kiln does not know the action \"{}\"",
                                 printable(event.action.substr(0, 100), false)),
                     "install a newer Kiln");
    }
    const bool one_more = !rule->optional.empty() && event.arguments.contains(rule->optional);
    if (event.arguments.size() != rule->arguments + (one_more ? 1 : 0)) {
        refuse_event("its arguments are others than this version of Kiln knows", "install a newer Kiln");
    }
    if (image.state == ImageState::deregistered) {
        refuse_event("it changes an image that was deregistered");
    }
    try {
        rule->apply(image, event.arguments);
    } catch (const Error& error) {
        refuse_event(error.message(), error.hint()); // of JSON members: {io}
    }
}

} // namespace

void start_lifecycle(Image& image, const bundle::Manifest& manifest)
{
    image.state = ImageState::available;
    image.holder = manifest.owner;
    image.launch_public = manifest.launch_public;
    image.launch_accounts = manifest.launch.accounts;
    std::ranges::sort(image.launch_accounts);
    image.deprecated_at =
        manifest.launch.deprecated_on ? std::optional(begin_of(*manifest.launch.deprecated_on)) : std::nullopt;
    image.last_event = 0;
    image.launch_organizations.clear(); // a manifest names none
    image.facts = facts_of(manifest);
}

std::map<std::string, std::string> facts_of(const bundle::Manifest& manifest)
{
    std::map<std::string, std::string> facts{{"source", manifest.source.kind}, {"os", manifest.os_distribution}};
    for (const auto& [key, value] : manifest.tags) {
        facts.emplace(fmt::format("tag:{}", key), value);
    }
    return facts;
}

Json publish_arguments(const Image& image)
{
    return {{"name", image.name}, {"version", image.version.to_string()}, {"architecture", image.architecture}};
}

Json copy_arguments(const Image& image, const CopySource& source)
{
    Json arguments = publish_arguments(image);
    arguments["from"] = {{"region", source.region}, {"image", source.image}};
    return arguments;
}

void apply(Image& image, const signing::Event& event)
{
    if (event.image != image.id || event.manifest != image.manifest) {
        refuse_event("it is about another image");
    }
    if (registers(event.action) && image.last_event != 0) {
        refuse_event("it registers an image that was there");
    }
    if (!bundle::is_time(event.time)) {
        refuse_event("its time is malformed");
    }
    if (came_from_elsewhere(event.action)) {
        image.holder = event.account;
    }
    if (event.account != image.holder) {
        refuse_event(
            fmt::format("account {} signed it, and only account {} may change the image", event.account, image.holder));
    }
    apply_rule(image, event);
    image.last_event = event.number;
}

Image image_of_events(const Image& row, const bundle::Manifest& manifest, std::span<const signing::ReadEvent> events)
{
    Image image = row;
    start_lifecycle(image, manifest);
    for (const signing::ReadEvent& read : events) {
        try {
            apply(image, read.event);
        } catch (Error& error) {
            error.while_doing(fmt::format("event {}", read.event.number));
            throw;
        }
    }
    return image;
}

std::vector<std::string> unexplained(const Image& row, const Image& explained)
{
    std::vector<std::string> differences;
    const auto compare = [&](std::string_view field, std::string_view has, std::string_view should) {
        if (has != should) {
            differences.push_back(fmt::format("{} {} instead of {}", field, has, should));
        }
    };
    compare("state", name_of(stored_state(row.state)), name_of(stored_state(explained.state)));
    compare("launch permission", row.launch_public ? "public" : "private",
            explained.launch_public ? "public" : "private");
    compare("last event", std::to_string(row.last_event), std::to_string(explained.last_event));
    compare("holder", row.holder, explained.holder);
    if (row.last_event != 0) { // an image of an older Kiln has these two in its manifest only
        compare("accounts", join(row.launch_accounts, " "), join(explained.launch_accounts, " "));
        compare("organizations", join(row.launch_organizations, " "), join(explained.launch_organizations, " "));
        compare("deprecation", row.deprecated_at.value_or("never"), explained.deprecated_at.value_or("never"));
    }
    return differences;
}

bool may_launch(const Image& image, std::string_view account, const std::vector<std::string>& organizations)
{
    return image.launch_public || account == image.holder ||
           std::ranges::binary_search(image.launch_accounts, account, std::less<>()) ||
           std::ranges::any_of(organizations, [&](const std::string& name) {
               return std::ranges::binary_search(image.launch_organizations, name);
           });
}

} // namespace kiln::registry
