// SPDX-License-Identifier: Apache-2.0
// Carries out a recipe's steps in the mounted guest.
#pragma once

#include "builder/appliance.h"
#include "builder/package_installer.h"
#include "builder/secrets.h"
#include "recipes/recipe.h"

#include <filesystem>

namespace kiln::builder
{

struct StepContext {
    Appliance& appliance;
    const recipes::Recipe& recipe; // for messages
    // What the step prints, without secrets, is appended to this file of mode 0600. Empty: nowhere.
    std::filesystem::path log;
    const Secrets& secrets; // at least those of the step
    PackageInstaller* packages = nullptr;
};

// Throws Error{step_failed, package, conflict, untrusted, ...} that names the step's place in the recipe; of a
// script it has the tail of the output. What a step did until then stays in the guest.
void apply_step(const StepContext& context, const recipes::Step& step);

// Whether it asks for the appliance's network.
[[nodiscard]] bool needs_network(const recipes::Step& step);

} // namespace kiln::builder
