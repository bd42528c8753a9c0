// SPDX-License-Identifier: Apache-2.0
// What the instances of this home need of its regions.
#pragma once

#include "core/digest.h"
#include "core/paths.h"

#include <map>
#include <string>
#include <vector>

namespace kiln::cli
{

// The layers of every instance, whatever its state and region. Throws for a record that can't be read: what that one
// needs is not known.
[[nodiscard]] std::vector<Digest> layers_in_use(const Paths& paths);

// The ids of the instances of each image, by the image's id, in one region.
[[nodiscard]] std::map<std::string, std::vector<std::string>> instances_of_images(const Paths& paths,
                                                                                  const std::string& region);

} // namespace kiln::cli
