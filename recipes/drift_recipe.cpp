// SPDX-License-Identifier: Apache-2.0
#include "recipes/drift_recipe.h"

#include "core/json.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::recipes
{
namespace
{

// A basic string of TOML: JSON's escapes are TOML's.
std::string quoted(const std::string& text)
{
    return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string list(const std::vector<std::string>& words)
{
    std::string text = "[";
    for (const std::string& word : words) {
        text += fmt::format("{}{}", text.size() > 1 ? ", " : "", quoted(word));
    }
    return text + "]";
}

// What the words of recipes don't say: links, folders, owners, removals.
std::string script_of(const DriftRecipe& drift)
{
    std::string script;
    for (const std::string& path : drift.files_removed) {
        script += fmt::format("rm -rf -- {}\n", shell_quoted(path));
    }
    for (const DriftedFile& file : drift.files) {
        const std::string path = shell_quoted(file.path);
        if (file.kind == DriftedFile::Kind::folder) {
            script += fmt::format("install -d -m {:04o} -- {}\n", file.mode, path);
        } else if (file.kind == DriftedFile::Kind::link) {
            script += fmt::format("ln -sfn -- {} {}\n", shell_quoted(file.source), path);
        }
        if (file.kind != DriftedFile::Kind::left_out && (file.user != 0 || file.group != 0)) {
            script += fmt::format("chown -h {}:{} -- {}\n", file.user, file.group, path);
        }
    }
    return script;
}

} // namespace

std::string draft_recipe(const DriftRecipe& drift)
{
    std::string text =
        "# Drafted from what an instance became. Read it before you build it: what belongs to one machine, or\n"
        "# is a secret, is not for an image.\n";
    for (const std::string& note : drift.notes) {
        text += fmt::format("# - {}\n", printable(note, false));
    }
    text += fmt::format("name = {}\nversion = {}\narchitecture = \"x86_64\"\n\n[base]\nami = {}\n", quoted(drift.name),
                        quoted(drift.version), quoted(drift.parent));
    if (!drift.packages_added.empty() || !drift.packages_removed.empty()) {
        text += fmt::format("\n[[step]]\npackages = {}\n", list(drift.packages_added));
        if (!drift.packages_removed.empty()) {
            text += fmt::format("remove = {}\n", list(drift.packages_removed));
        }
    }
    for (const DriftedUser& user : drift.users) {
        text +=
            fmt::format("\n[[step]]\nuser = {}\nuid = {}\nhome = {}\n", quoted(user.name), user.id, quoted(user.home));
    }
    for (const DriftedFile& file : drift.files) {
        if (file.kind == DriftedFile::Kind::file) {
            text += fmt::format("\n[[step]]\nfile = {}\nsource = {}\nmode = \"{:04o}\"\n", quoted(file.path),
                                quoted(file.source), file.mode);
        }
    }
    if (const std::string script = script_of(drift); !script.empty()) {
        text += fmt::format("\n[[step]]\nrun = {}\n", quoted(script));
    }
    for (const std::string& unit : drift.services_enabled) {
        text += fmt::format("\n[[step]]\nservice = {}\n", quoted(unit));
    }
    for (const std::string& unit : drift.services_disabled) {
        text += fmt::format("\n[[step]]\nservice = {}\nenabled = false\n", quoted(unit));
    }
    return text;
}

} // namespace kiln::recipes
