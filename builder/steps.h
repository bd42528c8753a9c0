// SPDX-License-Identifier: Apache-2.0
// Carries out a recipe's steps in the mounted guest.
#pragma once

#include "builder/appliance.h"
#include "recipes/recipe.h"

namespace kiln::builder
{

// Throws Error{step_failed} that names the step's place in the recipe and the tail of its output.
void apply_step(Appliance& appliance, const recipes::Recipe& recipe, const recipes::Step& step);

// Whether it asks for the network.
[[nodiscard]] bool needs_network(const recipes::Step& step);

} // namespace kiln::builder
