// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace kiln
{

// The host's CPU: a digest of its model and flags, as what is saved of a machine fits the CPU it ran on only.
[[nodiscard]] std::string host_cpu();

} // namespace kiln
