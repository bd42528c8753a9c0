// SPDX-License-Identifier: Apache-2.0
// Instances as text for people.
#pragma once

#include "launcher/instance.h"

#include <string>

namespace kiln::cli
{

// What a user does next with a fresh instance.
[[nodiscard]] std::string how_to_reach(const launcher::Instance& instance);

} // namespace kiln::cli
