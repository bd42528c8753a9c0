// SPDX-License-Identifier: Apache-2.0
// A lifecycle policy as TOML, read as recipes are: every error at once, with its line and a caret. docs/registry.md has
// the keys.
#pragma once

#include "registry/upkeep/lifecycle_policy.h"

#include <filesystem>
#include <string_view>

namespace kiln::cli
{

// At most 1 MiB. Throws recipes::RecipeError, and Error{not_found, permission_denied, io} for the file.
[[nodiscard]] registry::LifecyclePolicy load_lifecycle_policy(const std::filesystem::path& file);

} // namespace kiln::cli
