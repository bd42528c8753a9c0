// SPDX-License-Identifier: Apache-2.0
#include "cli/region_components.h"

#include "signing/trust_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace kiln::cli
{

std::optional<recipes::ComponentDocument> RegionComponents::find(std::string_view name, const VersionPattern& version)
{
    if (!std::filesystem::exists(context_.paths.regions / context_.region)) {
        return std::nullopt; // to look is no reason to make one
    }
    const auto region = context_.open_region();
    const std::vector<registry::Component> components = region->components();
    const auto found = std::ranges::find_if(components, [&](const registry::Component& component) {
        return component.name == name && version.matches(component.version);
    });
    if (found == components.end()) {
        return std::nullopt;
    }
    return recipes::ComponentDocument{
        .text = region->component_text(*found, signing::TrustStore(context_.paths.trust)),
        .file = fmt::format("{}@{} in region {}", found->name, found->version.to_string(), context_.region),
        .folder = {}};
}

} // namespace kiln::cli
