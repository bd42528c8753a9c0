// SPDX-License-Identifier: Apache-2.0
// What may change of an AMI, as text for people.
#pragma once

#include "core/json.h"
#include "registry/region.h"

#include <string>

namespace kiln::cli
{

// "public", "account 123456789012", "accounts 123456789012, 210987654321": the holder first.
[[nodiscard]] std::string launch_permission(const registry::Image& image);

// "ami-...  web 1.0.0  available, launched by account 123456789012", with a newline.
[[nodiscard]] std::string lifecycle_line(const registry::Image& image);

// What an event did, beside its action: "public, 210987654321".
[[nodiscard]] std::string event_details(const std::string& action, const Json& arguments);

} // namespace kiln::cli
