// SPDX-License-Identifier: Apache-2.0
// What a region refuses goes into its audit log, where this account may write to that.
#pragma once

#include "core/error.h"
#include "registry/region.h"

#include <string>
#include <string_view>

namespace kiln::cli
{

// Notes that `account` was refused `what` ("launch", "share"); an error of another kind is no refusal. Never throws:
// the refusal itself is what counts.
void note_refusal(const registry::Region& region, const registry::Image& image, const std::string& account,
                  std::string_view what, const Error& error) noexcept;

} // namespace kiln::cli
