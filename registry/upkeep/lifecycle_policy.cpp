// SPDX-License-Identifier: Apache-2.0
#include "registry/upkeep/lifecycle_policy.h"

#include "core/error.h"
#include "core/text.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <tuple>
#include <utility>

namespace kiln::registry
{
namespace
{

// How far an action, or a state, goes.
int reach_of_action(std::string_view name)
{
    constexpr std::array order{action::deprecate, action::disable, action::deregister};
    return static_cast<int>(std::ranges::find(order, name) - order.begin()) + 1;
}

int reach_of_state(ImageState state)
{
    switch (state) {
    case ImageState::available:
        return 0;
    case ImageState::deprecated:
        return 1;
    case ImageState::disabled:
        return 2;
    case ImageState::deregistered:
        break;
    }
    return 3;
}

bool covers(const LifecycleRule& rule, std::string_view name)
{
    return std::ranges::any_of(rule.names, [&](std::string_view pattern) {
        return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1)) : name == pattern;
    });
}

bool is_excluded(const LifecycleRule& rule, const Image& image, const bundle::Manifest& manifest)
{
    const bool tagged = std::ranges::any_of(rule.exclude_tags, [&](const auto& tag) {
        const auto found = manifest.tags.find(tag.first);
        return found != manifest.tags.end() && found->second == tag.second;
    });
    return tagged || (rule.exclude_public && image.launch_public) ||
           (rule.exclude_shared && !image.launch_accounts.empty());
}

struct Candidate {
    Image image;
    bundle::Manifest manifest;
    std::size_t higher = 0; // registered versions of the same name, architecture and holder
};

// Every registered image: also those of others may be children.
std::vector<Candidate> candidates_of(const Region& region)
{
    std::vector<Candidate> candidates;
    for (Image& image : region.images()) {
        bundle::Manifest manifest = region.load_manifest(image);
        candidates.push_back({std::move(image), std::move(manifest), 0});
    }
    std::ranges::sort(candidates, std::ranges::greater{}, [](const Candidate& candidate) {
        const Image& image = candidate.image;
        return std::tie(image.name, image.architecture, image.version, image.id);
    });
    std::map<std::tuple<std::string, std::string, std::string>, std::size_t> seen;
    for (Candidate& candidate : candidates) {
        const Image& image = candidate.image;
        candidate.higher = seen[{image.name, image.architecture, image.holder}]++;
    }
    std::reverse(candidates.begin(), candidates.end());
    return candidates;
}

class Planner
{
public:
    Planner(const Region& region, const LifecycleView& view)
        : region_(region), view_(view), candidates_(candidates_of(region))
    {
        for (const Candidate& candidate : candidates_) {
            if (candidate.manifest.parent) {
                children_[candidate.manifest.parent->manifest].push_back(candidate.image.id);
            }
        }
    }

    [[nodiscard]] std::vector<LifecycleStep> plan(const LifecyclePolicy& policy) const
    {
        std::vector<LifecycleStep> steps;
        for (const Candidate& candidate : candidates_) {
            if (candidate.image.holder != view_.account) {
                continue;
            }
            std::optional<LifecycleStep> furthest;
            for (std::size_t i = 0; i < policy.rules.size(); ++i) {
                auto step = step_of(policy.rules[i], candidate);
                if (step && (!furthest || reach_of_action(step->action) > reach_of_action(furthest->action))) {
                    step->rule = i + 1;
                    furthest = std::move(step);
                }
            }
            if (furthest) {
                furthest->protection = protection_of(candidate.image);
                steps.push_back(*std::move(furthest));
            }
        }
        return steps;
    }

private:
    [[nodiscard]] std::optional<LifecycleStep> step_of(const LifecycleRule& rule, const Candidate& candidate) const
    {
        const Image& image = candidate.image;
        if (!covers(rule, image.name) || reach_of_state(image.state) >= reach_of_action(rule.action) ||
            is_excluded(rule, image, candidate.manifest)) {
            return std::nullopt;
        }
        std::vector<std::string> reasons;
        if (rule.keep) {
            if (candidate.higher < *rule.keep) {
                return std::nullopt;
            }
            reasons.push_back(fmt::format("{} higher version{}", candidate.higher, candidate.higher == 1 ? "" : "s"));
        }
        if (rule.older_than) {
            if (image.created > iso_time(view_.now - *rule.older_than)) {
                return std::nullopt;
            }
            reasons.push_back("built " + image.created.substr(0, 10));
        }
        return LifecycleStep{.image = image, .action = rule.action, .rule = 0, .reason = join(reasons, ", ")};
    }

    [[nodiscard]] std::string protection_of(const Image& image) const
    {
        std::vector<std::string> reasons;
        if (const auto used = view_.instances.find(image.id); used != view_.instances.end()) {
            reasons.push_back("in use by " + join(used->second, ", "));
        }
        if (const auto parent = children_.find(image.manifest); parent != children_.end()) {
            reasons.push_back("the parent of " + join(parent->second, ", "));
        }
        if (const auto channels = region_.channels_of(image); !channels.empty()) {
            reasons.push_back("the channel " + join(channels, ", ") + " names it");
        }
        return join(reasons, "; ");
    }

    const Region& region_;
    const LifecycleView& view_;
    std::vector<Candidate> candidates_;
    std::map<Digest, std::vector<std::string>> children_; // by the parent's manifest
};

} // namespace

std::vector<LifecycleStep> plan_lifecycle(const Region& region, const LifecyclePolicy& policy,
                                          const LifecycleView& view)
{
    return Planner(region, view).plan(policy);
}

Change change_of(const LifecycleStep& step)
{
    if (step.action == action::deprecate) {
        return deprecate_at(iso_now());
    }
    return step.action == action::disable ? disable() : deregister();
}

} // namespace kiln::registry
