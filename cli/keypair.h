// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/context.h"

namespace kiln::cli
{

void add_keypair(CLI::App& app, Context& context);

} // namespace kiln::cli
