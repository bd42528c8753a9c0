// SPDX-License-Identifier: Apache-2.0
// The components of the region, for the recipes that name them.
#pragma once

#include "cli/context.h"
#include "recipes/recipe.h"

namespace kiln::cli
{

class RegionComponents : public recipes::ComponentFinder
{
public:
    explicit RegionComponents(const Context& context) : context_(context) {}

    // Throws Error{untrusted} for one that is not signed by its owner: a lower version is no answer then.
    [[nodiscard]] std::optional<recipes::ComponentDocument> find(std::string_view name,
                                                                 const VersionPattern& version) override;

private:
    const Context& context_;
};

} // namespace kiln::cli
