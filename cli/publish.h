// SPDX-License-Identifier: Apache-2.0
// DiskSet -> AMI in a region. Builds and snapshots both end here.
#pragma once

#include "builder/disk_set.h"
#include "bundle/manifest.h"
#include "registry/region.h"
#include "signing/keys.h"

namespace kiln::cli
{

// Fills in what the disks tell (mappings, software, operating system) and publishes. Where `manifest` already has a
// mapping for a device, its layers are the parent's, and the disk's layer goes on top of those that it keeps.
registry::Image publish(registry::Region& region, bundle::Manifest manifest, const builder::DiskSet& disks,
                        const std::vector<registry::Attachment>& attachments, const signing::SecretKey& key);
// The same with the next free patch as its version: Region::publish_next_patch.
registry::Image publish_next_patch(registry::Region& region, bundle::Manifest manifest, const builder::DiskSet& disks,
                                   const registry::Region::AttachmentsOf& attachments, const signing::SecretKey& key);

// Throws Error{conflict} when name and version are taken, before any long work.
void require_free_version(const registry::Region& region, const std::string& name, const SemanticVersion& version,
                          const std::string& architecture);

[[nodiscard]] Json to_json(const registry::Image& image, const std::string& region);

} // namespace kiln::cli
