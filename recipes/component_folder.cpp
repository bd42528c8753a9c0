// SPDX-License-Identifier: Apache-2.0
#include "recipes/components.h"

#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace kiln::recipes
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t most_files = 1000;

// The names of the component files, sorted.
std::vector<std::string> list_files(const fs::path& folder)
{
    std::vector<std::string> names;
    std::error_code failed; // a recipe without components has no such folder
    for (auto entry = fs::directory_iterator(folder, failed);
         !failed && entry != fs::directory_iterator() && names.size() < most_files; entry.increment(failed)) {
        if (entry->path().extension() == ".toml") {
            names.push_back(entry->path().filename().native());
        }
    }
    std::ranges::sort(names);
    return names;
}

} // namespace

void ComponentFolder::read()
{
    if (was_read_) {
        return;
    }
    was_read_ = true;
    const fs::path folder = folder_ / "components";
    SourceFiles files(folder_);
    for (const std::string& name : list_files(folder)) {
        auto text = files.read("components/" + name);
        const auto head =
            std::holds_alternative<Problem>(text) ? std::nullopt : find_component_head(std::get<std::string>(text));
        if (!head) {
            broken_.push_back(name);
            continue;
        }
        found_[head->name].emplace(
            head->version,
            ComponentDocument{.text = std::get<std::string>(std::move(text)), .file = folder / name, .folder = folder});
    }
}

std::optional<ComponentDocument> ComponentFolder::find(std::string_view name, const VersionPattern& version)
{
    read();
    const auto versions = found_.find(name);
    if (versions == found_.end()) {
        return std::nullopt;
    }
    const auto newest = std::find_if(versions->second.rbegin(), versions->second.rend(),
                                     [&](const auto& entry) { return version.matches(entry.first); });
    return newest == versions->second.rend() ? std::nullopt : std::optional(newest->second);
}

std::string ComponentFolder::hint_for(const ComponentReference& reference)
{
    read();
    if (const auto versions = found_.find(reference.name); versions != found_.end()) {
        std::vector<std::string> numbers;
        for (const auto& [version, document] : versions->second) {
            numbers.push_back(version.to_string());
        }
        return fmt::format("there is {} {}", reference.name, shortened(join(numbers, ", "), 200));
    }
    std::vector<std::string_view> names;
    for (const auto& [name, versions] : found_) {
        names.push_back(name);
    }
    if (const auto near = near_miss(reference.name, names)) {
        return fmt::format("did you mean \"{}\"?", *near);
    }
    if (!broken_.empty()) {
        return fmt::format("these are no readable component files: {}", shortened(join(broken_, ", "), 200));
    }
    return "components are the files components/*.toml beside the recipe, or in the region: `kiln component list`";
}

} // namespace kiln::recipes
