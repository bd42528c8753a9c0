// SPDX-License-Identifier: Apache-2.0
#include "recipes/component_check.h"

#include "recipes/components.h"
#include "recipes/parse_parts.h"
#include "recipes/secrets.h"
#include "recipes/substitution.h"

#include <algorithm>
#include <set>

namespace kiln::recipes
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t largest_component = std::size_t{1} << 20U;

CheckedComponent parse_component(TableReader& root, Scope& scope)
{
    CheckedComponent component;
    component.name = root.require("name", rules::image_name).value_or("");
    component.version = root.require("version", rules::version).value_or(SemanticVersion());
    component.description = root.find("description", rules::description).value_or("");
    static_cast<void>(parse_steps(root, "build", scope));
    static_cast<void>(parse_steps(root, "validate", scope));
    static_cast<void>(parse_tests(root));
    root.finish();
    return component;
}

} // namespace

CheckedComponent check_component(std::string_view text, const fs::path& file, const LoadOptions& options)
{
    if (text.size() > largest_component) {
        throw RecipeError(file.native(), "", {{{1, 1}, "", "a component has at most 1 MiB", "split it"}});
    }
    auto document = parse_toml(text);
    if (const auto* syntax_error = std::get_if<Diagnostic>(&document)) {
        throw RecipeError(file.native(), text, {*syntax_error});
    }
    auto& value = std::get<Value>(document);
    std::vector<Diagnostic> diagnostics;
    TableReader root(value, "", diagnostics);
    Parameters parameters = declare_parameters(root);
    set_parameters(parameters, options.parameters, root);
    std::size_t budget = substitution_budget;
    Substitution substitution(parameters, budget);
    substitution.in_document(value, diagnostics);
    if (!diagnostics.empty()) {
        throw RecipeError(file.native(), text, std::move(diagnostics)); // what follows from them says nothing
    }
    SourceFiles sources{fs::path()};
    const SourceFiles::Visit nowhere(sources, fs::path(), "");
    Components components(options.components);
    Secrets secrets = Secrets::of_any_recipe();
    std::set<std::pair<std::string, std::string>> made;
    Scope scope{.file = file,
                .sources = sources,
                .substitution = substitution,
                .components = components,
                .secrets = secrets,
                .made = made};
    CheckedComponent component = parse_component(root, scope);
    auto errors = std::move(components.errors());
    errors.insert(errors.begin(), {file.native(), std::string(text), std::move(diagnostics)});
    if (std::ranges::any_of(errors, [](const DocumentDiagnostics& of) { return !of.diagnostics.empty(); })) {
        throw RecipeError(std::move(errors));
    }
    return component;
}

} // namespace kiln::recipes
