// SPDX-License-Identifier: Apache-2.0
// Components: steps, validations and tests under a name and a version, for any recipe. A step that names
// one is replaced by its steps; its parameters get the step's values.
#pragma once

#include "recipes/parse_parts.h"
#include "recipes/reuse_rules.h"

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace kiln::recipes
{

struct ComponentHead {
    std::string name{};
    SemanticVersion version;
};

// What `text` says it is; nullopt when it is not TOML, has more than 1 MiB, or has no good name and version.
[[nodiscard]] std::optional<ComponentHead> find_component_head(std::string_view text);

// The component files in one folder. They are read at the first question.
class ComponentFolder : public ComponentFinder
{
public:
    ComponentFolder() : was_read_(true) {} // holds none
    // `folder` holds the recipe; its files `components/*.toml` are looked at.
    explicit ComponentFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

    [[nodiscard]] std::optional<ComponentDocument> find(std::string_view name, const VersionPattern& version) override;

    // What to say of `reference`, which the folder does not have: other versions, a near miss, files
    // that are not TOML.
    [[nodiscard]] std::string hint_for(const ComponentReference& reference);

private:
    void read();

    std::filesystem::path folder_;
    bool was_read_ = false;
    std::map<std::string, std::map<SemanticVersion, ComponentDocument>, std::less<>> found_;
    std::vector<std::string> broken_;
};

// All components of one recipe while it is parsed.
class Components
{
public:
    // Only those that `elsewhere`, which may be null, has.
    explicit Components(ComponentFinder* elsewhere) : elsewhere_(elsewhere) {}
    // `elsewhere` may be null; it is asked for what is not in `folder`.
    Components(const std::filesystem::path& folder, ComponentFinder* elsewhere) : folder_(folder), elsewhere_(elsewhere)
    {
    }

    // Reads the step `table`, which has the key `component`, and appends the component's steps. What is wrong
    // inside the component goes to errors().
    void insert(TableReader& table, Scope& scope, std::vector<Step>& steps);

    [[nodiscard]] std::vector<DocumentDiagnostics>& errors() { return errors_; }
    [[nodiscard]] std::vector<Step>& validations() { return validations_; }
    [[nodiscard]] std::vector<Test>& tests() { return tests_; }
    [[nodiscard]] std::vector<Input>& inputs() { return inputs_; }

private:
    [[nodiscard]] std::optional<ComponentDocument> find(TableReader& table, const ComponentReference& reference);
    [[nodiscard]] bool may_enter(TableReader& table, const std::string& id, const ComponentDocument& document);
    void parse(const ComponentDocument& document, const std::string& id, TableReader& table, Value& root, Scope& from,
               std::vector<Step>& steps);
    void fail_once(TableReader& table, Problem problem);

    ComponentFolder folder_;
    ComponentFinder* elsewhere_;
    std::vector<std::string> chain_; // of the components that are being read, each "web-server@1.2.0"
    std::set<std::string> failed_;   // their errors are told once
    std::size_t uses_ = 0;
    std::size_t bytes_ = 0;
    bool too_many_ = false;
    std::vector<DocumentDiagnostics> errors_;
    std::vector<Step> validations_;
    std::vector<Test> tests_;
    std::vector<Input> inputs_;
};

} // namespace kiln::recipes
