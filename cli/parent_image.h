// SPDX-License-Identifier: Apache-2.0
// The AMI that a recipe starts from.
#pragma once

#include "builder/build.h"
#include "bundle/manifest.h"
#include "cli/context.h"
#include "recipes/recipe.h"
#include "registry/region.h"

#include <optional>

namespace kiln::cli
{

// nullopt for a recipe with another base. The image that `lock`, which may be nullptr, has for it, as long as the
// region has that. Throws Error{not_found} when no image in the region fits.
[[nodiscard]] std::optional<registry::Image> find_parent(const registry::Region& region, const recipes::Recipe& recipe,
                                                         const builder::LockFile* lock,
                                                         const signing::TrustStore& trust);

// For the builder, after the same checks as before a launch. Throws Error{untrusted, permission_denied}.
[[nodiscard]] builder::ParentImage verify_parent(const Context& context, const registry::Region& region,
                                                 const registry::Image& parent);

// What a child's manifest starts from: its parent's disks, and its parent's name as its lineage.
void inherit(bundle::Manifest& manifest, const bundle::Manifest& parent, const registry::Image& parent_image);

} // namespace kiln::cli
