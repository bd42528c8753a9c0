// SPDX-License-Identifier: Apache-2.0
// How packages get into the mounted guest. Steps only know this much; apt is behind it.
#pragma once

#include "builder/appliance.h"
#include "recipes/recipe.h"

#include <filesystem>

namespace kiln::builder
{

class PackageInstaller
{
public:
    virtual ~PackageInstaller() = default;
    // The programs' output is appended to `log`. Throws Error{package, step_failed, network, interrupted}.
    virtual void install(Appliance& appliance, const recipes::PackagesStep& step, const std::filesystem::path& log) = 0;
    // For later steps and for the running system.
    virtual void add_source(Appliance& appliance, const recipes::AptSourceStep& step) = 0;
};

} // namespace kiln::builder
