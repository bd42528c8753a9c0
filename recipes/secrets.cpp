// SPDX-License-Identifier: Apache-2.0
#include "recipes/secrets.h"

#include "core/text.h"
#include "recipes/reuse_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace kiln::recipes
{
namespace
{

constexpr std::array<std::string_view, 3> step_keys{"step", "build", "validate"};

Secret parse_secret(TableReader& table, const std::filesystem::path& folder)
{
    Secret secret;
    secret.name = table.require("name", rules::secret_name).value_or("");
    const bool has_file = table.has("file");
    const bool has_environment = table.has("environment");
    if (const auto file = table.find("file", rules::host_path)) {
        secret.file = folder / *file; // an absolute one stays as it is
    }
    secret.environment_name = table.find("environment", rules::environment_name).value_or("");
    if (has_file == has_environment) {
        table.fail({has_file ? "has both file and environment" : "has neither file nor environment",
                    "exactly one of them says where its value comes from"});
    }
    table.finish();
    return secret;
}

} // namespace

Secrets::Secrets(TableReader& root, const std::filesystem::path& folder)
{
    for (TableReader& table : root.find_tables("secret")) {
        Secret secret = parse_secret(table, folder);
        if (!secret.name.empty() && std::ranges::find(secrets_, secret.name, &Secret::name) != secrets_.end()) {
            table.fail("name",
                       {in_quotes(secret.name) + " is the name of an earlier secret", "name each one differently"});
            continue;
        }
        secrets_.push_back(std::move(secret));
        tables_.push_back(table);
    }
}

Secrets Secrets::of_any_recipe()
{
    Secrets secrets;
    secrets.all_are_known_ = true;
    return secrets;
}

void Secrets::note_use(const Value& name, std::string path, std::vector<Diagnostic>& diagnostics)
{
    if (name.kind != Value::Kind::string) {
        return; // the step's own reader says so
    }
    if (all_are_known_) {
        return;
    }
    if (std::ranges::find(secrets_, name.text, &Secret::name) != secrets_.end()) {
        used_.insert(name.text);
        return;
    }
    std::vector<std::string_view> names;
    std::ranges::transform(secrets_, std::back_inserter(names),
                           [](const Secret& secret) -> std::string_view { return secret.name; });
    const auto near = name.text.size() <= 64 ? near_miss(name.text, names) : std::nullopt;
    diagnostics.push_back(
        {name.position, std::move(path), in_quotes(name.text) + " is not a secret of the recipe",
         near ? fmt::format("did you mean \"{}\"?", *near) : "add a [[secret]] table with this name to the recipe"});
}

void Secrets::note_uses(const Value& document, std::vector<Diagnostic>& diagnostics)
{
    for (const Value& steps : document.children) {
        if (steps.kind != Value::Kind::array || std::ranges::find(step_keys, steps.key) == step_keys.end()) {
            continue;
        }
        for (std::size_t i = 0; i < steps.children.size(); ++i) {
            const auto& step = steps.children[i].children;
            const auto list = std::ranges::find(step, "secrets", &Value::key);
            if (list == step.end() || list->kind != Value::Kind::array) {
                continue;
            }
            for (std::size_t j = 0; j < list->children.size(); ++j) {
                note_use(list->children[j], fmt::format("{}[{}].secrets[{}]", steps.key, i, j), diagnostics);
            }
        }
    }
}

void Secrets::finish()
{
    for (std::size_t i = 0; i < secrets_.size(); ++i) {
        if (!secrets_[i].name.empty() && !used_.contains(secrets_[i].name)) {
            tables_[i].fail("name", {in_quotes(secrets_[i].name) + " is used by no step",
                                     fmt::format("name it in a `run` step: secrets = [\"{}\"]", secrets_[i].name)});
        }
    }
}

} // namespace kiln::recipes
