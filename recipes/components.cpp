// SPDX-License-Identifier: Apache-2.0
#include "recipes/components.h"

#include "core/text.h"
#include "recipes/secrets.h"
#include "recipes/substitution.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::recipes
{
namespace
{

// A hostile tree of components grows without bound in each of these.
constexpr std::size_t deepest_chain = 16;
constexpr std::size_t most_uses = 256;
constexpr std::size_t most_bytes = std::size_t{16} << 20U; // of all that were used
constexpr std::size_t largest_component = std::size_t{1} << 20U;
constexpr std::size_t longest_test_name = 128;

// Names them after the component, so that two components can have tests of the same name.
std::vector<Test> named_after(const std::string& component, std::vector<Test> tests)
{
    for (Test& test : tests) {
        test.name = shortened(fmt::format("{}: {}", component, test.name), longest_test_name);
    }
    return tests;
}

} // namespace

std::optional<ComponentHead> find_component_head(std::string_view text)
{
    if (text.size() > largest_component) {
        return std::nullopt;
    }
    const auto document = parse_toml(text);
    if (!std::holds_alternative<Value>(document)) {
        return std::nullopt;
    }
    std::vector<Diagnostic> ignored;
    TableReader root(std::get<Value>(document), "", ignored);
    const auto name = root.require("name", rules::image_name);
    const auto version = root.require("version", rules::version);
    return name && version ? std::optional(ComponentHead{*name, *version}) : std::nullopt;
}

void Components::fail_once(TableReader& table, Problem problem)
{
    if (!too_many_) {
        too_many_ = true;
        table.fail("component", std::move(problem));
    }
}

std::optional<ComponentDocument> Components::find(TableReader& table, const ComponentReference& reference)
{
    if (auto document = folder_.find(reference.name, reference.version)) {
        return document;
    }
    if (elsewhere_ != nullptr) {
        if (auto document = elsewhere_->find(reference.name, reference.version)) {
            return document;
        }
    }
    table.fail("component", {fmt::format("there is no component {} of such a version", reference.name),
                             folder_.hint_for(reference)});
    return std::nullopt;
}

bool Components::may_enter(TableReader& table, const std::string& id, const ComponentDocument& document)
{
    if (std::ranges::find(chain_, id) != chain_.end()) {
        std::vector<std::string> cycle(std::ranges::find(chain_, id), chain_.end());
        cycle.push_back(id);
        table.fail("component", {"the component includes itself: " + join(cycle, " -> "), "remove one of these steps"});
        return false;
    }
    if (chain_.size() >= deepest_chain) {
        fail_once(table, {fmt::format("components are nested more than {} deep", deepest_chain), join(chain_, " -> ")});
        return false;
    }
    bytes_ += document.text.size();
    if (++uses_ > most_uses || bytes_ > most_bytes) {
        fail_once(table,
                  {fmt::format("the recipe uses more than {} components, or more than 16 MiB of them", most_uses),
                   "components that name others count each time"});
        return false;
    }
    return !too_many_ && !failed_.contains(id);
}

void Components::insert(TableReader& table, Scope& scope, std::vector<Step>& steps)
{
    const auto reference = table.require("component", rules::component_reference);
    (void)table.has("parameters");
    const auto document = reference ? find(table, *reference) : std::nullopt;
    if (!document) {
        return;
    }
    const auto head = find_component_head(document->text);
    if (!head || head->name != reference->name || !reference->version.matches(head->version)) {
        table.fail("component", {fmt::format("{} is no component {}", document->file.native(), reference->name),
                                 "its name and version must be those that it is looked up by"});
        return;
    }
    const std::string id = fmt::format("{}@{}", head->name, head->version.to_string());
    if (!may_enter(table, id, *document)) {
        return;
    }
    auto parsed = parse_toml(document->text); // it is TOML: it had a head
    chain_.push_back(id);
    parse(*document, id, table, std::get<Value>(parsed), scope, steps);
    chain_.pop_back();
    if (steps.size() + validations_.size() + tests_.size() > most_steps) {
        fail_once(table, {fmt::format("the components have more than {} steps and tests", most_steps),
                          "put several commands into one step"});
    }
}

void Components::parse(const ComponentDocument& document, const std::string& id, TableReader& table,
                       Value& document_root, Scope& from, std::vector<Step>& steps)
{
    std::vector<Diagnostic> diagnostics;
    TableReader root(document_root, "", diagnostics);
    Parameters parameters = declare_parameters(root);
    const bool were_set = diagnostics.empty() && set_parameters(parameters, table, id);
    Substitution substitution(parameters, from.substitution.budget());
    if (were_set) {
        substitution.in_document(document_root, diagnostics);
    }
    if (were_set && diagnostics.empty()) {
        const SourceFiles::Visit visit(from.sources, document.folder, "component " + id + ": ");
        Scope scope{.file = document.file,
                    .sources = from.sources,
                    .substitution = substitution,
                    .components = *this,
                    .secrets = from.secrets,
                    .made = from.made};
        const auto name = root.require("name", rules::image_name);
        (void)root.require("version", rules::version);
        (void)root.find("description", rules::description);
        from.secrets.note_uses(document_root, diagnostics);
        std::ranges::move(parse_steps(root, "build", scope), std::back_inserter(steps));
        std::ranges::move(parse_steps(root, "validate", scope), std::back_inserter(validations_));
        std::ranges::move(named_after(name.value_or(""), parse_tests(root)), std::back_inserter(tests_));
        root.finish();
        inputs_.push_back({.name = "component " + id, .digest = digest_of(document.text)});
    }
    if (!diagnostics.empty()) {
        failed_.insert(id);
        errors_.push_back(
            {.file = document.file.native(), .text = document.text, .diagnostics = std::move(diagnostics)});
    }
}

} // namespace kiln::recipes
