// SPDX-License-Identifier: Apache-2.0
// A terminal at the serial console of a guest.
#pragma once

#include "cli/context.h"
#include "launcher/instance.h"

namespace kiln::cli
{

// Until Ctrl-] is typed or the instance ends. One at a time. Throws Error{usage} where standard input is no terminal,
// {conflict} when somebody else is attached, {launch} when it does not run.
void attach_console(const Context& context, const launcher::Instance& instance);

} // namespace kiln::cli
