// SPDX-License-Identifier: Apache-2.0
// What commands have in common about templates of warm launches.
#pragma once

#include "launcher/warm/warm_template.h"
#include "registry/region.h"

#include <string>
#include <vector>

namespace kiln::cli
{

// One line where the guest was not all well when it was saved, as its clones won't be.
void note_ready(const launcher::WarmTemplate& one);

// Those of one image, or of all in the region, which `kiln run` of that account believes, newest first.
[[nodiscard]] std::vector<launcher::StoredTemplate> templates_of(const registry::Region& region,
                                                                 const registry::Image& image,
                                                                 const signing::TrustStore& trust,
                                                                 const std::string& account);
[[nodiscard]] std::vector<launcher::StoredTemplate>
all_templates(const registry::Region& region, const signing::TrustStore& trust, const std::string& account);

} // namespace kiln::cli
