// SPDX-License-Identifier: Apache-2.0
// kiln registry init|list|forget: the regions of this home; the other commands are in registry_*.cpp.
#include "cli/context.h"
#include "cli/region_names.h"
#include "core/error.h"
#include "core/files.h"
#include "core/names.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::cli
{
namespace
{
namespace fs = std::filesystem;

void require_region_name(const std::string& name)
{
    if (!is_region_name(name)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a region", printable(name.substr(0, 200), false)),
                    "a region has 1 to 63 lower-case letters, digits and inner -");
    }
}

void init(Context& context, const std::string& name)
{
    require_region_name(name);
    if (context.has_region(name)) {
        throw Error(ErrorKind::conflict, fmt::format("there is a region {} already", name),
                    "`kiln registry list` shows which there are");
    }
    make_directories(context.paths.home, 0700);
    const registry::Region region(context.paths.regions / name, name, context.memory_of(name));
    print_result(context, {{"region", name}, {"folder", (context.paths.regions / name).native()}},
                 fmt::format("region {}  in {}\n", name, printable((context.paths.regions / name).native(), false)));
}

void list(Context& context)
{
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"REGION", "IMAGES", "FOLDER"}};
    for (const std::string& name : region_names(context)) {
        const std::size_t images = context.open_region(name)->images().size();
        const std::string folder = (context.paths.regions / name).native();
        json.push_back({{"region", name}, {"images", images}, {"folder", folder}});
        rows.push_back({name, std::to_string(images), printable(folder, false)});
    }
    print_result(context, json,
                 rows.size() == 1 ? "There is no region yet; `kiln registry init NAME` or a build makes one.\n"
                                  : table(rows));
}

void forget(Context& context, const std::string& name)
{
    require_region_name(name);
    const bool known = fs::exists(context.memory_of(name));
    if (!known && !context.has_region(name)) {
        throw Error(ErrorKind::not_found, fmt::format("there is no region {}, and nothing is known of one", name),
                    "`kiln registry list` shows which there are");
    }
    if (context.has_region(name)) {
        registry::Region(context.paths.regions / name, name, context.memory_of(name)).forget_seen();
    } else {
        fs::remove(context.memory_of(name));
        sync_directory(context.memory_of(name).parent_path());
    }
    print_result(
        context, {{"region", name}, {"forgotten", true}},
        fmt::format("What was seen of region {} is forgotten: its catalogue is believed as it is now.\n", name));
}

void add_named(CLI::App& registry, Context& context, const char* command_name, const char* description,
               void (*action)(Context&, const std::string&))
{
    CLI::App* command = registry.add_subcommand(command_name, description);
    auto name = std::make_shared<std::string>();
    command->add_option("region", *name, "Letters, digits and inner -")->required()->type_name("REGION");
    on_run(*command, context, [&context, name, action] { action(context, *name); });
}

} // namespace

std::vector<std::string> region_names(const Context& context)
{
    std::vector<std::string> names;
    std::error_code ignored; // no folder: no region
    for (const fs::directory_entry& entry : fs::directory_iterator(context.paths.regions, ignored)) {
        const std::string name = entry.path().filename().native();
        if (is_region_name(name) && context.has_region(name)) {
            names.push_back(name);
        }
    }
    std::ranges::sort(names);
    return names;
}

void add_registry(CLI::App& app, Context& context)
{
    CLI::App* registry = app.add_subcommand("registry", "The regions: each is a registry of AMIs");
    registry->require_subcommand(1);
    add_named(*registry, context, "init", "Make a region", init);
    CLI::App* list_command = registry->add_subcommand("list", "The regions of this home");
    on_run(*list_command, context, [&context] { list(context); });
    add_registry_collect(*registry, context);
    add_registry_check(*registry, context);
    add_registry_log(*registry, context);
    add_registry_lifecycle(*registry, context);
    add_named(*registry, context, "forget", "Accept an older catalogue than was seen", forget);
}

} // namespace kiln::cli
