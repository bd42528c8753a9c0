// SPDX-License-Identifier: Apache-2.0
// Templates of warm launches whose AMI is gone.
#pragma once

#include "core/paths.h"
#include "registry/region.h"

#include <string>
#include <vector>

namespace kiln::cli
{

// Removes those that were made of images of this region that are deregistered, or unknown to it. Returns their ids.
// With `dry_run` it removes nothing.
std::vector<std::string> remove_templates_of_gone_images(const Paths& paths, const registry::Region& region,
                                                         bool dry_run = false);

} // namespace kiln::cli
