// SPDX-License-Identifier: Apache-2.0
#include "cli/warm_templates.h"

#include "core/text.h"

#include <fmt/format.h>

namespace kiln::cli
{

void note_ready(const launcher::WarmTemplate& one)
{
    if (one.ready != "running" && one.ready != "agent") {
        fmt::print(stderr, "kiln: the guest said \"{}\" when it was saved, and so will its clones\n",
                   printable(one.ready, false));
    }
}

std::vector<std::string> remove_templates_of_gone_images(const Paths& paths, const registry::Region& region,
                                                         bool dry_run)
{
    std::vector<std::string> ids;
    for (const launcher::WarmTemplate& one : launcher::list_templates(paths)) {
        if (one.region != region.name()) {
            continue;
        }
        const auto image = region.find_id(one.image_id);
        if (image && image->state != registry::ImageState::deregistered) {
            continue;
        }
        if (!dry_run) {
            launcher::remove_template(paths, one.id);
        }
        ids.push_back(one.id);
    }
    return ids;
}

} // namespace kiln::cli
