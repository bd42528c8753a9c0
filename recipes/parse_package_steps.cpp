// SPDX-License-Identifier: Apache-2.0
// Steps about packages: `packages`, `apt_source`.
#include "recipes/parse_parts.h"
#include "recipes/step_parsers.h"

#include <set>
#include <string_view>

namespace kiln::recipes
{
namespace
{

// OpenPGP (RFC 4880): a file in ASCII armour, or one that starts with a public key packet in the old or new format.
bool is_public_key(std::string_view key)
{
    if (key.find("-----BEGIN PGP PUBLIC KEY BLOCK-----") != std::string_view::npos) {
        return true;
    }
    const auto first = key.empty() ? 0U : static_cast<unsigned char>(key.front());
    return (first & 0xfcU) == 0x98U || first == 0xc6U;
}

std::string_view name_of(std::string_view package)
{
    return package.substr(0, package.find('='));
}

} // namespace

PackagesStep parse_packages(TableReader& table)
{
    PackagesStep step;
    step.add = table.find_list("packages", rules::pinned_package);
    step.remove = table.find_list("remove", rules::package);
    step.hold = table.find_list("hold", rules::package);
    if (table.is_empty("packages") && step.remove.empty() && step.hold.empty()) {
        table.fail("packages", {"is empty", "name a package, or remove the step"});
    }
    const std::set<std::string_view> removed(step.remove.begin(), step.remove.end());
    std::set<std::string_view> added;
    for (const std::string& package : step.add) {
        const std::string_view name = name_of(package);
        if (removed.contains(name)) {
            table.fail("remove", {in_quotes(name) + " is added by the same step", "use one of the two"});
        }
        if (!added.insert(name).second) {
            table.fail("packages", {in_quotes(name) + " is named twice", "name it with one version"});
        }
    }
    return step;
}

AptSourceStep parse_apt_source(TableReader& table, SourceFiles& sources)
{
    AptSourceStep step;
    step.name = table.require("apt_source", rules::file_name).value_or("");
    step.uri = table.require("uri", rules::archive_uri).value_or("");
    step.suite = table.require("suite", rules::archive_suite).value_or("");
    step.components = table.find_list("components", rules::archive_component);
    // sources.list(5): a suite that ends in "/" is a path, which has no components.
    const bool is_path = step.suite.ends_with('/');
    if (is_path && !step.components.empty()) {
        table.fail("components", {"a suite that ends in \"/\" has none", "leave `components` out"});
    } else if (!is_path && !table.has("components")) {
        step.components = {"main"};
    } else if (!is_path && table.is_empty("components")) {
        table.fail("components", {"is empty", R"(name at least one, like ["main"])"});
    }
    if (auto key = require_source(table, "key", sources)) {
        if (key->find("PRIVATE KEY BLOCK") != std::string::npos) {
            table.fail("key", {"the file holds a private key", "export the public one: gpg --export --armor ID"});
        } else if (!is_public_key(*key)) {
            table.fail("key",
                       {"the file is not an OpenPGP public key", "as gpg --export, with or without --armor, makes it"});
        }
        step.key = std::move(*key);
    }
    return step;
}

} // namespace kiln::recipes
