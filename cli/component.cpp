// SPDX-License-Identifier: Apache-2.0
// kiln component publish|list|show
#include "cli/context.h"
#include "cli/parameters.h"
#include "cli/region_components.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "recipes/component_check.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::cli
{
namespace
{

constexpr ByteSize largest_file = mebibytes(2); // the parser says what is too large for a component

struct PublishOptions {
    std::string file;
    std::vector<std::string> parameters;
};

Json to_json(const registry::Component& component, const std::string& region)
{
    return {{"name", component.name},           {"version", component.version.to_string()},
            {"owner", component.owner},         {"region", region},
            {"published", component.published}, {"manifest", component.manifest.to_string()}};
}

void publish(Context& context, const PublishOptions& options)
{
    RegionComponents others(context);
    const std::string text = read_file(options.file, largest_file);
    const recipes::CheckedComponent checked = recipes::check_component(
        text, options.file, {.parameters = parse_parameters(options.parameters), .components = &others});
    const auto region = context.open_region();
    const signing::Account account = signing::ensure_account(context.paths);
    const registry::Component published = region->publish_component(
        {.name = checked.name, .version = checked.version, .owner = account.id, .text = text}, context.account_key());
    print_result(context, to_json(published, context.region),
                 fmt::format("{}@{}  signed by account {}, in region {}\n", published.name,
                             published.version.to_string(), published.owner, context.region));
}

void list(Context& context)
{
    const auto region = context.open_region();
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"NAME", "VERSION", "OWNER", "PUBLISHED"}};
    for (const registry::Component& component : region->components()) {
        json.push_back(to_json(component, context.region));
        rows.push_back({component.name, component.version.to_string(), component.owner,
                        printable(component.published.substr(0, 10), false)});
    }
    print_result(context, json,
                 rows.size() == 1 ? "There is no component yet; `kiln component publish FILE` makes one.\n"
                                  : table(rows));
}

registry::Component resolve(const registry::Region& region, const std::string& reference)
{
    const std::size_t at = reference.find('@');
    const std::string name = reference.substr(0, at);
    const auto version = parse_version_pattern(at == std::string::npos ? "x.x.x" : reference.substr(at + 1));
    if (!version) {
        throw Error(ErrorKind::usage,
                    fmt::format("\"{}\" does not name a component", printable(reference.substr(0, 200), false)),
                    "write a name, name@1.2.3 or name@1.2.x");
    }
    const std::vector<registry::Component> components = region.components();
    const auto found = std::ranges::find_if(components, [&](const registry::Component& component) {
        return component.name == name && version->matches(component.version);
    });
    if (found != components.end()) {
        return *found;
    }
    std::vector<std::string_view> names;
    std::ranges::transform(components, std::back_inserter(names), &registry::Component::name);
    const auto near = near_miss(name, names);
    throw Error(
        ErrorKind::not_found,
        fmt::format("there is no component {} in region {}", printable(reference.substr(0, 200), false), region.name()),
        near && *near != name ? fmt::format("did you mean {}?", *near) : "`kiln component list` shows what is there");
}

void show(Context& context, const std::string& reference)
{
    const auto region = context.open_region();
    const registry::Component component = resolve(*region, reference);
    const std::string text = region->component_text(component, signing::TrustStore(context.paths.trust));
    Json json = to_json(component, context.region);
    json["text"] = text;
    print_result(context, json, printable(text));
}

} // namespace

void add_component(CLI::App& app, Context& context)
{
    CLI::App* component = app.add_subcommand("component", "Publish, list and show the steps that recipes share");
    component->require_subcommand(1);

    CLI::App* publish_command =
        component->add_subcommand("publish", "Check a component, sign it and put it into the region");
    auto options = std::make_shared<PublishOptions>();
    publish_command->add_option("file", options->file, "The component, a TOML file (docs/recipe.md)")
        ->required()
        ->type_name("FILE");
    publish_command
        ->add_option("--set", options->parameters, "A value to check it with, for a parameter without a default")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    on_run_in_region(*publish_command, context, [&context, options] { publish(context, *options); });

    CLI::App* list_command = component->add_subcommand("list", "The components of the region, by name");
    on_run_in_region(*list_command, context, [&context] { list(context); });

    CLI::App* show_command =
        component->add_subcommand("show", "The text of a component, once its signature is checked");
    auto reference = std::make_shared<std::string>();
    show_command->add_option("component", *reference, "NAME (the highest version), NAME@1.2.3 or NAME@1.2.x")
        ->required()
        ->type_name("COMPONENT");
    on_run_in_region(*show_command, context, [&context, reference] { show(context, *reference); });
}

} // namespace kiln::cli
