// SPDX-License-Identifier: Apache-2.0
// Which template a launch uses, and why none.
#pragma once

#include "launcher/warm/warm_template.h"

#include <optional>
#include <string>

namespace kiln::launcher
{

struct WarmOptions {
    const signing::TrustStore& trust;
    registry::VerificationRecord* record = nullptr; // of what this home has verified
    bool cold = false;                              // asked for
};

// For an instance that is about to be launched by `account`, perhaps with volumes: nullopt when its AMI has no template
// at all. One that fits is verified; that it does not hold is a reason for a cold launch, not an error. Throws
// Error{missing_tool}.
[[nodiscard]] std::optional<WarmLaunch> choose_template(const Paths& paths, const Instance& instance, bool has_volumes,
                                                        const std::string& account, const WarmOptions& options);

} // namespace kiln::launcher
