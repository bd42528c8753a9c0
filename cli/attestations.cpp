// SPDX-License-Identifier: Apache-2.0
#include "cli/attestations.h"

#include "builder/provenance.h"
#include "builder/spdx.h"
#include "bundle/oci.h"
#include "core/random.h"
#include "core/timestamp.h"

namespace kiln::cli
{

std::vector<registry::Attachment> attestations_of(const recipes::Recipe& recipe, const builder::DiskSet& disks,
                                                  const BuildFacts& facts)
{
    const std::string finished = iso_now();
    const std::string invocation = random_uuid();
    const std::vector<builder::InstalledPackage> packages = disks.lock.packages();
    const Json bill = builder::spdx_document({.name = recipe.name,
                                              .version = facts.version.to_string(),
                                              .unique = invocation,
                                              .created = finished,
                                              .kiln_version = KILN_VERSION},
                                             disks.software, packages);
    const Json provenance = builder::provenance_predicate(recipe, {.parent = facts.parent,
                                                                   .parameters = facts.parameters,
                                                                   .packages = packages,
                                                                   .tools = builder::tool_versions(),
                                                                   .kiln_version = KILN_VERSION,
                                                                   .account = facts.account,
                                                                   .invocation = invocation,
                                                                   .started = facts.started,
                                                                   .finished = finished});
    return {{std::string(bundle::sbom_artifact_type), bill.dump()},
            {std::string(bundle::provenance_artifact_type), provenance.dump()},
            {std::string(bundle::lock_artifact_type), builder::to_json(disks.lock).dump()}};
}

} // namespace kiln::cli
