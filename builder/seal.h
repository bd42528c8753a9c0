// SPDX-License-Identifier: Apache-2.0
// Takes out of a mounted system what belongs to one machine or one build: identity, secrets, logs,
// caches. Every build and every snapshot goes through it before publishing.
#pragma once

#include "builder/appliance.h"

#include <string>
#include <string_view>

namespace kiln::builder
{

// Does not run anything of the guest's. Frees the blocks of what it removed (discard).
void seal(Appliance& appliance);

// `authorized_keys` without the keys that Kiln's launches put there (their comment says so).
[[nodiscard]] std::string without_launch_keys(std::string_view authorized_keys);

} // namespace kiln::builder
