// SPDX-License-Identifier: Apache-2.0
// What the fields of tests may hold.
#pragma once

#include "recipes/field_rules.h"

namespace kiln::recipes::rules
{

extern const Rule<std::string> http_path;    // with its query
extern const Rule<std::string> http_body;    // an ECMAScript regular expression
extern const Rule<std::string> line_pattern; // a POSIX extended regular expression, for grep -E in the guest
extern const Rule<std::string> unit_state;

} // namespace kiln::recipes::rules
