// SPDX-License-Identifier: Apache-2.0
// kiln image share|unshare|deprecate|disable|enable|deregister|channel: each is one signed event.
#include "cli/context.h"
#include "cli/image_text.h"
#include "cli/publish.h"
#include "cli/refusals.h"
#include "core/error.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <functional>

namespace kiln::cli
{
namespace
{

using MakeChange = std::function<registry::Change(const registry::Image&)>;

void make_change(Context& context, const std::string& reference, const MakeChange& change_for)
{
    const auto region = context.open_region();
    const signing::TrustStore trust = context.trust();
    const registry::Image image = region->resolve(reference, trust);
    const registry::Change change = change_for(image);
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key();
    const auto [now, changed] = [&] {
        try {
            return region->change(image, change, {.account = account.id, .key = key}, trust);
        } catch (const Error& error) {
            note_refusal(*region, image, account.id, change.action, error);
            throw;
        }
    }();
    Json json = to_json(now, context.region);
    json["channels"] = region->channels_of(now);
    json["changed"] = changed;
    print_result(context, json, lifecycle_line(now) + (changed ? "" : "Nothing changed: it was like that.\n"));
}

CLI::App* add_change(CLI::App& image, Context& context, const char* name, const char* description,
                     const std::shared_ptr<std::string>& reference, const MakeChange& change_for)
{
    CLI::App* command = image.add_subcommand(name, description);
    command->add_option("image", *reference, image_reference_help)->required()->type_name("AMI");
    on_run_in_region(*command, context,
                     [&context, reference, change_for] { make_change(context, *reference, change_for); });
    return command;
}

void add_permissions(CLI::App& image, Context& context, const char* name, const char* description,
                     registry::Change (*change_to)(registry::LaunchPermissions))
{
    auto permissions = std::make_shared<registry::LaunchPermissions>();
    CLI::App* command = add_change(
        image, context, name, description, std::make_shared<std::string>(),
        [permissions, change_to](const registry::Image&) {
            if (!permissions->everyone && permissions->accounts.empty() && permissions->organizations.empty()) {
                throw Error(ErrorKind::usage, "there is nobody to change the launch permission for",
                            "name --account ID... or --organization NAME..., or say --public");
            }
            return change_to(*permissions);
        });
    command->add_option("--account", permissions->accounts, "Accounts of 12 digits each")->type_name("ID");
    command
        ->add_option("--organization", permissions->organizations,
                     "Organizations, as each home's trust/organizations.json has their accounts")
        ->type_name("NAME");
    command->add_flag("--public", permissions->everyone, "Everyone");
}

struct DeprecateOptions {
    std::string at;
    bool cancel = false;
};

// A day begins at midnight, UTC.
std::optional<std::string> deprecation_time(const DeprecateOptions& options)
{
    if (options.cancel) {
        return std::nullopt;
    }
    constexpr std::size_t day_length = 10;
    return options.at.empty() ? iso_now() : options.at.size() == day_length ? options.at + "T00:00:00Z" : options.at;
}

void add_deprecate(CLI::App& image, Context& context)
{
    auto options = std::make_shared<DeprecateOptions>();
    CLI::App* command =
        add_change(image, context, "deprecate", "Warn at launches from a date on", std::make_shared<std::string>(),
                   [options](const registry::Image&) { return registry::deprecate_at(deprecation_time(*options)); });
    CLI::Option* at = command->add_option("--at", options->at, "2027-11-23, or 2027-11-23T17:44:58Z (now)");
    at->type_name("DATE");
    command->add_flag("--cancel", options->cancel, "It is not to be deprecated any more")->excludes(at);
}

struct ChannelOptions {
    std::string channel;
    bool leave = false;
};

void add_channel(CLI::App& image, Context& context)
{
    auto options = std::make_shared<ChannelOptions>();
    CLI::App* command = add_change(image, context, "channel", "Let NAME@CHANNEL name this version",
                                   std::make_shared<std::string>(), [options](const registry::Image& one) {
                                       return options->leave ? registry::leave_channel(one.name, options->channel)
                                                             : registry::take_channel(one.name, options->channel);
                                   });
    command->add_option("channel", options->channel, "Like stable: letters, digits and inner -")
        ->required()
        ->type_name("CHANNEL");
    command->add_flag("--leave", options->leave, "Take it out of the channel instead");
}

} // namespace

void add_image_changes(CLI::App& image, Context& context)
{
    add_permissions(image, context, "share", "Let other accounts, or everyone, launch it", registry::share_with);
    add_permissions(image, context, "unshare", "Take that back; what runs goes on", registry::unshare_with);
    add_deprecate(image, context);
    const auto add = [&](const char* name, const char* description, registry::Change (*change)()) {
        add_change(image, context, name, description, std::make_shared<std::string>(),
                   [change](const registry::Image&) { return change(); });
    };
    add("disable", "Let nobody launch it, until it is enabled", registry::disable);
    add("enable", "Let it be launched again", registry::enable);
    add("deregister", "Remove it for good; its id stays taken", registry::deregister);
    add_channel(image, context);
}

} // namespace kiln::cli
