// SPDX-License-Identifier: Apache-2.0
// The hidden `kiln make-appliance ACCELERATOR CACHE WORK`, which a build starts beside its bootstrap.
#include "builder/template_making.h"
#include "cli/context.h"
#include "core/error.h"

namespace kiln::cli
{

void add_make_appliance(CLI::App& app, Context& context)
{
    CLI::App* command = app.add_subcommand("make-appliance", "Make the warm appliance (started by `kiln build`)");
    command->group(""); // hidden
    auto accelerator = std::make_shared<std::string>();
    auto order = std::make_shared<builder::TemplateOrder>();
    command->add_option("accelerator", *accelerator)->required();
    command->add_option("cache", order->cache)->required();
    command->add_option("work", order->work)->required();
    command->add_flag("--network", order->network);
    command->callback([&context, accelerator, order] {
        const auto known = parse_accelerator(*accelerator);
        if (!known) {
            throw Error(ErrorKind::usage, "the accelerator is kvm or tcg");
        }
        order->accelerator = *known;
        make_template_for(*order, context.stop);
    });
}

} // namespace kiln::cli
