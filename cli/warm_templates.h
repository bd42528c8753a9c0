// SPDX-License-Identifier: Apache-2.0
// What commands have in common about templates of warm launches.
#pragma once

#include "core/paths.h"
#include "launcher/warm/warm_template.h"
#include "registry/region.h"

#include <string>
#include <vector>

namespace kiln::cli
{

// One line where the guest was not all well when it was saved, as its clones won't be.
void note_ready(const launcher::WarmTemplate& one);

// Removes those that were made of images of this region that are deregistered, or unknown to it. Returns their ids.
// With `dry_run` it removes nothing.
std::vector<std::string> remove_templates_of_gone_images(const Paths& paths, const registry::Region& region,
                                                         bool dry_run = false);

} // namespace kiln::cli
