// SPDX-License-Identifier: Apache-2.0
// Which template a launch uses, and why none.
#pragma once

#include "launcher/instance.h"
#include "launcher/warm/warm_template.h"
#include "registry/region.h"

#include <optional>
#include <string_view>

namespace kiln::launcher
{

struct WarmOptions {
    const registry::Region& region; // whose image is launched
    const signing::TrustStore& trust;
    registry::VerificationRecord* record = nullptr; // of what this home has verified
    bool cold = false;                              // asked for
};

struct TemplateChoice {
    WarmLaunch launch;
    std::optional<VerifiedTemplate> verified; // none: it is launched cold
};

// A cold launch, for the reason that a template did not hold.
[[nodiscard]] TemplateChoice refused_template(std::string_view why);

// For an instance of `image` that is about to be launched, perhaps with volumes: of the templates that its account or
// the image's owner made. nullopt when there is none at all. One that fits is verified; that it does not hold is a
// reason for a cold launch, not an error. Throws Error{missing_tool}.
[[nodiscard]] std::optional<TemplateChoice> choose_template(const registry::Image& image, const Instance& instance,
                                                            bool has_volumes, const WarmOptions& options);

} // namespace kiln::launcher
