// SPDX-License-Identifier: Apache-2.0
// What the fields of parameters, components and secrets may hold.
#pragma once

#include "recipes/field_rules.h"

namespace kiln::recipes
{

// "web-server@1.x.x"
struct ComponentReference {
    std::string name{};
    VersionPattern version{};
};

namespace rules
{

extern const Rule<std::string> identifier; // of a parameter: "listen_port"
extern const Rule<std::string> parameter_type;
extern const Rule<ComponentReference> component_reference;

} // namespace rules
} // namespace kiln::recipes
