// SPDX-License-Identifier: Apache-2.0
// kiln image warm.
#pragma once

#include "cli/context.h"

namespace kiln::cli
{

void add_image_warm(CLI::App& image, Context& context);

} // namespace kiln::cli
