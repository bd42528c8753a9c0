// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/template_choice.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace
{

WarmLaunch cold_because(std::string reason)
{
    return {.start = WarmLaunch::Start::cold, .reason = std::move(reason)};
}

// Of the one that comes nearest.
std::string why_none_fits(const std::vector<WarmTemplate>& templates, const TemplateShape& wanted)
{
    std::vector<std::string> fewest;
    for (const WarmTemplate& one : templates) {
        std::vector<std::string> clauses = differences(one.shape, wanted);
        if (fewest.empty() || clauses.size() < fewest.size()) {
            fewest = std::move(clauses);
        }
    }
    return fmt::format("the template does not fit: {}", join(fewest, ", "));
}

} // namespace

std::optional<WarmLaunch> choose_template(const Paths& paths, const Instance& instance, bool has_volumes,
                                          const std::string& account, const WarmOptions& options)
{
    std::vector<WarmTemplate> templates = list_templates(paths);
    std::erase_if(templates,
                  [&](const WarmTemplate& one) { return one.shape.image_manifest != instance.image_manifest; });
    if (templates.empty()) {
        return std::nullopt;
    }
    if (options.cold) {
        return cold_because("a cold launch was asked for");
    }
    if (has_volumes) {
        return cold_because("it has volumes, and no template has");
    }
    if (instance.network != template_network) { // whose addresses a booted guest has asked for
        return cold_because(fmt::format(R"(it is in the network "{}", and templates are for "{}")", instance.network,
                                        template_network));
    }
    const TemplateShape wanted = shape_of(instance, find_qemu_identity());
    const std::string id = template_id_of(wanted);
    if (std::ranges::find(templates, id, &WarmTemplate::id) == templates.end()) {
        return cold_because(why_none_fits(templates, wanted));
    }
    try {
        const VerifiedTemplate verified = verify_template(paths, id, options.trust, account, options.record);
        return WarmLaunch{.start = WarmLaunch::Start::clone,
                          .launched_warm = true,
                          .cloud_init = verified.get().cloud_init && instance.user_data,
                          .template_id = id,
                          .folder = verified.folder(),
                          .memory = verified.get().digest_of(template_memory_file).to_string(),
                          .ready = verified.get().ready};
    } catch (const Error& error) {
        return cold_because(fmt::format("the template was refused: {}", error.message()));
    }
}

} // namespace kiln::launcher
