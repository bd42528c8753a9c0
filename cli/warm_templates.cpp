// SPDX-License-Identifier: Apache-2.0
#include "cli/warm_templates.h"

#include "core/text.h"

#include <fmt/format.h>

#include <set>

namespace kiln::cli
{

void note_ready(const launcher::WarmTemplate& one)
{
    if (one.ready != "running" && one.ready != "agent") {
        fmt::print(stderr, "kiln: the guest said \"{}\" when it was saved, and so will its clones\n",
                   printable(one.ready, false));
    }
}

std::vector<launcher::StoredTemplate> templates_of(const registry::Region& region, const registry::Image& image,
                                                   const signing::TrustStore& trust, const std::string& account)
{
    std::vector<std::string> faults; // a launch tells them
    return launcher::find_templates(region.layout(), image.manifest, trust, {account, image.owner}, faults);
}

std::vector<launcher::StoredTemplate> all_templates(const registry::Region& region, const signing::TrustStore& trust,
                                                    const std::string& account)
{
    std::set<std::string> with_one;
    for (const bundle::Layout::Entry& entry : region.layout().find_all(bundle::template_artifact_type)) {
        if (const auto subject = entry.annotations.find(bundle::subject_annotation);
            subject != entry.annotations.end()) {
            with_one.insert(subject->second);
        }
    }
    std::vector<launcher::StoredTemplate> all;
    for (const registry::Image& image : with_one.empty() ? std::vector<registry::Image>() : region.images()) {
        if (with_one.contains(image.manifest.to_string())) {
            auto found = templates_of(region, image, trust, account);
            std::ranges::move(found, std::back_inserter(all));
        }
    }
    std::ranges::stable_sort(all, std::greater{},
                             [](const launcher::StoredTemplate& one) { return one.description.made; });
    return all;
}

} // namespace kiln::cli
