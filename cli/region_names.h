// SPDX-License-Identifier: Apache-2.0
// Which regions this home has.
#pragma once

#include "cli/context.h"
#include "core/names.h"

#include <string>
#include <vector>

namespace kiln::cli
{

[[nodiscard]] std::vector<std::string> region_names(const Context& context); // sorted

} // namespace kiln::cli
