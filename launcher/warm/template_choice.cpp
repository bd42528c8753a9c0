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

TemplateChoice cold_because(std::string reason)
{
    return {.launch = {.start = WarmLaunch::Start::cold, .reason = std::move(reason)}, .verified = std::nullopt};
}

// Of the one that comes nearest.
std::string why_none_fits(const std::vector<StoredTemplate>& templates, const TemplateShape& wanted)
{
    std::vector<std::string> fewest;
    for (const StoredTemplate& one : templates) {
        std::vector<std::string> clauses = differences(one.description.shape, wanted);
        if (fewest.empty() || clauses.size() < fewest.size()) {
            fewest = std::move(clauses);
        }
    }
    return fmt::format("the template does not fit: {}", join(fewest, ", "));
}

} // namespace

TemplateChoice refused_template(std::string_view why)
{
    return cold_because(fmt::format("the template was refused: {}", why));
}

std::optional<TemplateChoice> choose_template(const registry::Image& image, const Instance& instance, bool has_volumes,
                                              const WarmOptions& options)
{
    std::vector<std::string> faults;
    const bundle::Layout& layout = options.region.layout();
    const std::vector<StoredTemplate> templates =
        find_templates(layout, image.manifest, options.trust, {instance.account_id, image.owner}, faults);
    if (templates.empty()) {
        return faults.empty() ? std::nullopt : std::optional(refused_template(faults.front()));
    }
    if (options.cold) {
        return cold_because("a cold launch was asked for");
    }
    if (has_volumes) {
        return cold_because("it has volumes, and no template has");
    }
    if (instance.network != template_network && instance.network != "vpc") { // as whose member it is given its address
        return cold_because(
            fmt::format(R"(it has the network "{}", and a template's guest has a card)", instance.network));
    }
    const TemplateShape wanted = shape_of(instance, find_qemu_identity());
    const std::string id = template_id_of(wanted);
    const auto fitting =
        std::ranges::find_if(templates, [&](const StoredTemplate& one) { return one.description.id == id; });
    if (fitting == templates.end()) {
        return cold_because(why_none_fits(templates, wanted));
    }
    try {
        VerifiedTemplate verified = verify_template(layout, *fitting, options.record);
        const WarmTemplate& one = verified.get();
        TemplateChoice choice;
        choice.launch.start = WarmLaunch::Start::clone;
        choice.launch.launched_warm = true;
        choice.launch.cloud_init = one.cloud_init && instance.user_data;
        choice.launch.template_id = id;
        choice.launch.ready = one.ready;
        choice.verified = std::move(verified);
        return choice;
    } catch (const Error& error) {
        return refused_template(error.message());
    }
}

} // namespace kiln::launcher
