// SPDX-License-Identifier: Apache-2.0
// Internal: what the metadata service tells, as it is on disk now.
#pragma once

#include "launcher/metadata/metadata_tree.h"

namespace kiln::launcher
{

// Throws Error{not_found, io}.
[[nodiscard]] MetadataSource load_metadata_source(const InstancePaths& paths);

} // namespace kiln::launcher
