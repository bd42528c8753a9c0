// SPDX-License-Identifier: Apache-2.0
// The `run` step: a script, inline or in a file.
#include "recipes/parse_parts.h"
#include "recipes/step_parsers.h"

#include <fmt/format.h>

namespace kiln::recipes
{
namespace
{

std::string parse_script_file(TableReader& table, SourceFiles& sources)
{
    const auto script = require_source(table, "script", sources);
    if (!script) {
        return {};
    }
    if (const auto hidden = find_hidden_character(*script, true)) {
        table.fail("script", {fmt::format("the file holds {}, or is not UTF-8", *hidden),
                              "a script is text whose lines end in a newline alone; a `file` step takes any bytes"});
    } else if (script->find_first_not_of(" \t\n") == std::string::npos) {
        table.fail("script", {"the file is empty", "remove the step"});
    }
    return *script;
}

} // namespace

RunStep parse_run(TableReader& table, SourceFiles& sources)
{
    RunStep step;
    step.script =
        table.contains("script") ? parse_script_file(table, sources) : table.require("run", rules::script).value_or("");
    step.environment = table.find_texts("environment", rules::environment_name, rules::environment_value);
    step.folder = table.find("folder", rules::guest_folder).value_or(step.folder);
    step.secrets = table.find_list("secrets", rules::secret_name);
    step.statuses = table.find_integers("status", step.statuses, 0, 255);
    step.network = table.find_flag("network", step.network);
    step.timeout = table.find("timeout", rules::duration).value_or(step.timeout);
    return step;
}

} // namespace kiln::recipes
