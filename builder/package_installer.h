// SPDX-License-Identifier: Apache-2.0
// Changes the packages of a mounted guest. The seam between the steps and the package manager, so that a test
// of the steps needs no archive.
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
    // Adds, removes and holds. What the package manager prints is appended to `log`. Throws Error{package,
    // network, no_space, step_failed, interrupted}.
    virtual void install(Appliance& appliance, const recipes::PackagesStep& step, const std::filesystem::path& log) = 0;
    // For the packages of later steps and for the running system.
    virtual void add_source(Appliance& appliance, const recipes::AptSourceStep& step) = 0;
};

} // namespace kiln::builder
