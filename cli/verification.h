// SPDX-License-Identifier: Apache-2.0
// How much of an image commands read to verify it: --verify, and the home's record of what was verified.
#pragma once

#include "cli/context.h"
#include "registry/verification_record.h"
#include "registry/verified_image.h"

#include <string>

namespace kiln::cli
{

// "full" or "changed".
inline constexpr const char* verify_changed = "changed";
inline constexpr const char* verify_full = "full";
// `how` holds the default.
void add_verify_option(CLI::App& command, std::string& how);
[[nodiscard]] registry::Reading reading_of(const std::string& how);

// The home's; says on standard error why it can't be used, where that is so.
[[nodiscard]] registry::VerificationRecord verification_record(const Context& context);

} // namespace kiln::cli
