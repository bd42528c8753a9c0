// SPDX-License-Identifier: Apache-2.0
// kiln build --debug: a shell in the system as a failed step left it.
#pragma once

#include "builder/appliance.h"
#include "core/error.h"

namespace kiln::cli
{

// Reads commands from standard input until its end or `exit`; each is run by /bin/sh in the guest's root. A
// prompt only where there is a terminal.
void debug_shell(builder::Appliance& appliance, const Error& failure);

} // namespace kiln::cli
