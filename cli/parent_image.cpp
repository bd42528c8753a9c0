// SPDX-License-Identifier: Apache-2.0
#include "cli/parent_image.h"

#include "cli/verification.h"

#include <algorithm>

namespace kiln::cli
{

std::optional<registry::Image> find_parent(const registry::Region& region, const recipes::Recipe& recipe,
                                           const builder::LockFile* lock, const signing::TrustStore& trust)
{
    const auto* base = std::get_if<recipes::AmiBase>(&recipe.base);
    if (base == nullptr) {
        return std::nullopt;
    }
    if (const auto manifest = lock != nullptr ? locked_parent(*lock, recipe) : std::nullopt) {
        const std::vector<registry::Image> images = region.images();
        const auto found = std::ranges::find_if(images, [&](const registry::Image& image) {
            return image.manifest == *manifest && image.name == base->name && base->version.matches(image.version);
        });
        if (found != images.end()) {
            return *found;
        }
    }
    return region.resolve(base->reference, trust); // the planner refuses another one than the locked
}

builder::ParentImage verify_parent(const Context& context, const registry::Region& region,
                                   const registry::Image& parent)
{
    const signing::Account account = signing::ensure_account(context.paths);
    registry::VerificationRecord record = verification_record(context);
    const registry::VerifiedImage verified = registry::verify(
        region, parent, context.trust(), account.id, {.reading = registry::Reading::changed, .record = &record});
    builder::ParentImage image{.manifest = parent.manifest, .volumes = {}};
    for (const bundle::BlockDeviceMapping& mapping : verified.manifest().block_devices) {
        image.volumes.push_back(
            {.device = mapping.device, .size = mapping.size, .layers = verified.layer_paths(mapping)});
    }
    return image;
}

void inherit(bundle::Manifest& manifest, const bundle::Manifest& parent, const registry::Image& parent_image)
{
    manifest.boot_mode = parent.boot_mode;
    manifest.block_devices = parent.block_devices;
    manifest.parent = bundle::Parent{parent.name, parent.version, parent_image.manifest};
}

} // namespace kiln::cli
