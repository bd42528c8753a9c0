// SPDX-License-Identifier: Apache-2.0
// Volumes as the commands print them, and what `kiln volume` is made of.
#pragma once

#include "cli/context.h"
#include "launcher/storage/volume.h"

#include <string>

namespace kiln::cli
{

// With what only a look at the disk tells: the bytes that it takes on the host, and its serial number.
[[nodiscard]] Json volume_json(const Context& context, const launcher::Volume& volume);
// All that a person may want to know.
[[nodiscard]] std::string volume_text(const Context& context, const launcher::Volume& volume);
void print_volume(const Context& context, const launcher::Volume& volume);

void add_volume(CLI::App& app, Context& context);           // create, list, show, delete, modify
void add_volume_attach(CLI::App& volume, Context& context); // attach, detach, resize

} // namespace kiln::cli
