// SPDX-License-Identifier: Apache-2.0
// kiln instance list, with EC2's filters: values of one filter are alternatives, several filters must all hold.
#include "cli/instance_commands.h"
#include "core/error.h"
#include "core/text.h"
#include "launcher/instance_filter.h"

#include <fmt/format.h>

#include <iterator>

namespace kiln::cli
{
namespace
{

struct ListOptions {
    std::vector<std::string> filters;
    bool all = false;
    bool quiet = false;
};

std::vector<launcher::Instance> wanted(const Context& context, const ListOptions& options)
{
    const launcher::InstanceFilter filter(options.filters);
    std::vector<launcher::Instance> instances = launcher::list_instances(context.paths);
    if (options.all || filter.asks_for_terminated()) {
        std::vector<launcher::Instance> ended = launcher::list_terminated(context.paths);
        instances.insert(instances.begin(), std::make_move_iterator(ended.begin()),
                         std::make_move_iterator(ended.end()));
    }
    std::erase_if(instances, [&](const launcher::Instance& instance) { return !filter.matches(instance); });
    return instances;
}

void list(const Context& context, const ListOptions& options)
{
    Json json = Json::array();
    std::string ids;
    std::vector<std::vector<std::string>> rows = {{"INSTANCE ID", "NAME", "STATE", "TYPE", "IMAGE", "SSH PORT"}};
    for (const launcher::Instance& instance : wanted(context, options)) {
        json.push_back(to_json(instance));
        ids += instance.id + "\n";
        const bool paused = instance.state == launcher::InstanceState::running && !instance.state_reason.empty();
        rows.push_back(
            {instance.id, instance.name.value_or("-"),
             fmt::format("{}{}", name_of(instance.state), paused ? " (paused)" : ""), instance.type,
             instance.image_name + "@" + instance.image_version + (instance.unsigned_image ? " (UNSIGNED)" : ""),
             instance.state == launcher::InstanceState::running && instance.ssh_port != 0
                 ? std::to_string(instance.ssh_port)
                 : "-"});
    }
    const bool filtered = !options.filters.empty();
    print_result(context, json,
                 options.quiet      ? ids
                 : rows.size() != 1 ? table(rows)
                 : filtered         ? "No instance fits.\n"
                                    : "There is no instance; `kiln run AMI` launches one.\n");
}

} // namespace

void add_instance_list(CLI::App& instance, Context& context)
{
    CLI::App* command = instance.add_subcommand("list", "The instances, oldest first");
    auto options = std::make_shared<ListOptions>();
    command
        ->add_option("--filter", options->filters,
                     "state, type, image, name, tag:KEY or tag-key; values may have * and ? and commas between them")
        ->allow_extra_args(false)
        ->type_name("NAME=VALUE");
    command->add_flag("--all", options->all, "Also the terminated ones");
    command->add_flag("-q,--quiet", options->quiet, "Print just the ids");
    on_run(*command, context, [&context, options] { list(context, *options); });
}

} // namespace kiln::cli
