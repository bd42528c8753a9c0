// SPDX-License-Identifier: Apache-2.0
#include "recipes/drift_recipe.h"

#include "core/json.h"
#include "core/text.h"
#include "recipes/rule_helpers.h"

#include <fmt/format.h>

#include <filesystem>
#include <string_view>

namespace kiln::recipes
{
namespace
{

void replace_all(std::string& text, std::string_view what, std::string_view by)
{
    for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) {
        text.replace(at, what.size(), by);
    }
}

// A basic string of TOML, whose escapes are JSON's, in which nothing is a reference to a parameter.
std::string quoted(std::string text)
{
    replace_all(text, "{{", R"({{ "{{" }})");
    return Json(text).dump(-1, ' ', true);
}

bool is_plain(const std::string& text)
{
    return printable(text, false) == text;
}

// Takes out what no recipe can say, with a note.
DriftRecipe sayable(DriftRecipe drift)
{
    const auto leave_out = [&](const std::string& what) {
        drift.notes.push_back(what + " has a name or a target that is no plain text: not taken over");
    };
    for (DriftedFile& file : drift.files) {
        if (file.kind != DriftedFile::Kind::left_out &&
            !(is_plain(file.path) && (file.kind != DriftedFile::Kind::link || is_plain(file.source)))) {
            file.kind = DriftedFile::Kind::left_out;
            leave_out(file.path);
        }
    }
    std::erase_if(drift.users, [&](const DriftedUser& user) {
        const bool odd = !is_plain(user.name) || !is_plain(user.home);
        if (odd) {
            leave_out("the user " + user.name);
        }
        return odd;
    });
    for (auto* names : {&drift.files_removed, &drift.packages_added, &drift.packages_removed, &drift.services_enabled,
                        &drift.services_disabled}) {
        std::erase_if(*names, [&](const std::string& name) {
            const bool odd = !is_plain(name);
            if (odd) {
                leave_out(name);
            }
            return odd;
        });
    }
    return drift;
}

// Where a file is put first whose name is none for a step's path.
std::string first_place(const DriftedFile& file)
{
    const bool plain = std::holds_alternative<std::string>(check_guest_path(file.path));
    return plain ? file.path : "/var/tmp/kiln-drift-" + std::filesystem::path(file.source).filename().native();
}

std::string list(const std::vector<std::string>& words)
{
    std::string text = "[";
    for (const std::string& word : words) {
        text += fmt::format("{}{}", text.size() > 1 ? ", " : "", quoted(word));
    }
    return text + "]";
}

// What the words of recipes don't say: links, folders, owners, odd names, removals.
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
        } else if (file.kind == DriftedFile::Kind::file && first_place(file) != file.path) {
            script += fmt::format("mv -T -- {} {}\n", first_place(file), path);
        }
        if (file.kind != DriftedFile::Kind::left_out && (file.user != 0 || file.group != 0)) {
            script += fmt::format("chown -h {}:{} -- {}\n", file.user, file.group, path);
        }
    }
    return script;
}

} // namespace

std::string draft_recipe(const DriftRecipe& all)
{
    const DriftRecipe drift = sayable(all);
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
            text += fmt::format("\n[[step]]\nfile = {}\nsource = {}\nmode = \"{:04o}\"\n", quoted(first_place(file)),
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
