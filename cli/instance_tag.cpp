// SPDX-License-Identifier: Apache-2.0
// kiln instance tag and untag.
#include "cli/instance_commands.h"
#include "core/error.h"
#include "core/text.h"
#include "launcher/tags.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

void change(const Context& context, const std::string& reference, const launcher::Tags& set,
            const std::vector<std::string>& removed)
{
    const launcher::Instance instance = launcher::resolve_instance(context.paths, reference);
    if (instance.state == launcher::InstanceState::terminated) {
        throw Error(ErrorKind::conflict, fmt::format("{} is terminated", instance.id));
    }
    const launcher::Instance now = launcher::change_tags(context.paths, instance.id, set, removed);
    std::string text = fmt::format("{}\n", now.id);
    for (const auto& [key, value] : now.tags) {
        text += fmt::format("  {}={}\n", key, value);
    }
    print_result(context, {{"instance_id", now.id}, {"tags", now.tags}}, text);
}

} // namespace

void add_instance_tag(CLI::App& instance, Context& context)
{
    auto reference = std::make_shared<std::string>();
    auto words = std::make_shared<std::vector<std::string>>();
    CLI::App* tag = instance.add_subcommand("tag", "Give an instance tags, or other values to those that it has");
    tag->add_option("instance", *reference, "Its id or name")->required()->type_name("INSTANCE");
    tag->add_option("tags", *words, "Up to 50, like team=web")->required()->type_name("KEY=VALUE");
    on_run(*tag, context,
           [&context, reference, words] { change(context, *reference, launcher::parse_tags(*words), {}); });

    CLI::App* untag = instance.add_subcommand("untag", "Take tags away from an instance");
    untag->add_option("instance", *reference, "Its id or name")->required()->type_name("INSTANCE");
    untag->add_option("keys", *words, "Those that it does not have are no error")->required()->type_name("KEY");
    on_run(*untag, context, [&context, reference, words] { change(context, *reference, {}, *words); });
}

} // namespace kiln::cli
