// SPDX-License-Identifier: Apache-2.0
// kiln-clone-agent (guest_programs/clone_agent.cpp) as bytes: it is put into guests, and no installed file has to be
// found.
#pragma once

#include <string_view>

namespace kiln::launcher
{

[[nodiscard]] std::string_view clone_agent_program();

} // namespace kiln::launcher
