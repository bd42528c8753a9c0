// SPDX-License-Identifier: Apache-2.0
// An instance's tags, with EC2's limits: 50 of them, keys of 1 to 128 and values of up to 256 characters.
#pragma once

#include "launcher/instance.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

// "KEY=VALUE" each; the value may be empty. Throws Error{usage}, also for a key that comes twice.
[[nodiscard]] Tags parse_tags(const std::vector<std::string>& texts);

// Adds or replaces `set`, then takes `removed` away. Throws Error{usage} past the limit, for whose tags they are.
void change_tags(Tags& tags, const Tags& set, const std::vector<std::string>& removed, std::string_view whose);

// The same for an instance; the event log has what is then. Throws Error{usage} past the
// limit, Error{not_found} for an instance that is gone.
Instance change_tags(const Paths& paths, const std::string& id, const Tags& set,
                     const std::vector<std::string>& removed);

} // namespace kiln::launcher
