// SPDX-License-Identifier: Apache-2.0
// Lifecycle policies, as EC2 Image Builder has them: rules by which the images of an account are deprecated, disabled
// and deregistered as they age or get many. An image that is in use, is a parent, or that a channel names is never
// touched.
#pragma once

#include "registry/region.h"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kiln::registry
{

struct LifecycleRule {
    std::string action;             // action::deprecate, disable or deregister
    std::vector<std::string> names; // whole ones, or beginnings with * behind
    // An image is due when both hold that are there; at least one is.
    std::optional<std::size_t> keep{};             // there are so many higher versions of its name and architecture
    std::optional<std::chrono::days> older_than{}; // since it was built
    // These are never due.
    bool exclude_public = false;
    bool exclude_shared = false; // with other accounts
    std::map<std::string, std::string> exclude_tags{};
};

struct LifecyclePolicy {
    std::string name;
    std::string description{};
    std::vector<LifecycleRule> rules; // where several apply, the one that goes furthest counts
};

// What becomes of one image that a rule found due.
struct LifecycleStep {
    Image image;
    std::string action;       // of the rule
    std::size_t rule = 0;     // its number, from 1
    std::string reason;       // "4 higher versions, built 120 days ago"
    std::string protection{}; // why it is left alone all the same; empty: it is changed
};

struct LifecycleView {
    std::string account;                                       // only what it holds is looked at
    std::map<std::string, std::vector<std::string>> instances; // that use an image, by the image's id
    std::chrono::system_clock::time_point now;
};

// By name, the lowest version first; writes nothing. Throws Error{untrusted, not_found} when a registered image's
// manifest can't be read: whose child it is would not be known.
[[nodiscard]] std::vector<LifecycleStep> plan_lifecycle(const Region& region, const LifecyclePolicy& policy,
                                                        const LifecycleView& view);

// The change that a step is.
[[nodiscard]] Change change_of(const LifecycleStep& step);

} // namespace kiln::registry
