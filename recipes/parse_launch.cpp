// SPDX-License-Identifier: Apache-2.0
// The small tables: [boot], [launch], [seal].
#include "recipes/parse_parts.h"

#include <fmt/format.h>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t most_tags = 50; // as EC2 has it

} // namespace

Boot parse_boot(TableReader& root)
{
    Boot boot;
    if (auto table = root.find_table("boot")) {
        boot.firmware = table->find("firmware", rules::firmware).value_or(boot.firmware);
        boot.kernel_command_line = table->find("kernel_command_line", rules::kernel_command_line).value_or("");
        boot.serial_console = table->find_flag("serial_console", boot.serial_console);
        table->finish();
    }
    return boot;
}

LaunchDefaults parse_launch(TableReader& root)
{
    LaunchDefaults launch;
    if (auto table = root.find_table("launch")) {
        launch.is_public = table->find_flag("public", launch.is_public);
        launch.accounts = table->find_list("accounts", rules::account_id);
        launch.instance_type = table->find("instance_type", rules::instance_type).value_or("");
        launch.minimum_memory = table->find("minimum_memory", rules::memory_size).value_or(ByteSize());
        launch.tags = table->find_texts("tags", rules::tag_key, rules::tag_value);
        if (launch.tags.size() > most_tags) {
            table->fail("tags", {fmt::format("has more than {} tags", most_tags), "remove some"});
        }
        launch.deprecated_on = table->find("deprecated_on", rules::date).value_or("");
        launch.warm = table->find_flag("warm", launch.warm);
        table->finish();
    }
    return launch;
}

std::vector<std::string> parse_keep(TableReader& root)
{
    std::vector<std::string> keep;
    if (auto table = root.find_table("seal")) {
        keep = table->find_list("keep", rules::keep_pattern);
        table->finish();
    }
    return keep;
}

} // namespace kiln::recipes
