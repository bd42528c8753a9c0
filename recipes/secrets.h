// SPDX-License-Identifier: Apache-2.0
// The [[secret]] tables and who uses them. Nothing here reads a secret's value.
#pragma once

#include "recipes/table_reader.h"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace kiln::recipes
{

class Secrets
{
public:
    // Reads [[secret]]; a relative `file` is below `folder`, the recipe's.
    Secrets(TableReader& root, const std::filesystem::path& folder);
    // Those of a recipe that is not known: every name is one of them.
    [[nodiscard]] static Secrets of_any_recipe();

    // Looks for `secrets = [...]` in the steps of a recipe or component: a name that is not declared becomes a
    // diagnostic there.
    void note_uses(const Value& document, std::vector<Diagnostic>& diagnostics);

    // After the last document: a secret that no step uses becomes a diagnostic.
    void finish();

    [[nodiscard]] const std::vector<Secret>& all() const noexcept { return secrets_; }

private:
    Secrets() = default;
    void note_use(const Value& name, std::string path, std::vector<Diagnostic>& diagnostics);

    std::vector<Secret> secrets_;
    std::vector<TableReader> tables_; // of secrets_
    std::set<std::string> used_;
    bool all_are_known_ = false;
};

} // namespace kiln::recipes
