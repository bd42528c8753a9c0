// SPDX-License-Identifier: Apache-2.0
// What `kiln instance` is made of, a file each, and `kiln usage`.
#pragma once

#include "cli/context.h"

namespace kiln::cli
{

void add_instance_access(CLI::App& instance, Context& context);  // ssh, port, screenshot
void add_instance_console(CLI::App& instance, Context& context); // console
void add_instance_copy(CLI::App& instance, Context& context);    // copy
void add_instance_life(CLI::App& instance, Context& context);    // start, stop, reboot, terminate, wait, modify
void add_instance_list(CLI::App& instance, Context& context);    // list
void add_instance_tag(CLI::App& instance, Context& context);     // tag, untag
void add_usage(CLI::App& app, Context& context);

} // namespace kiln::cli
