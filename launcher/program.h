// SPDX-License-Identifier: Apache-2.0
// Internal: the program that supervisors, network helpers and holders of VPCs are processes of.
#pragma once

#include <string>

namespace kiln::launcher
{

// `kiln-supervisor`: this program itself, or beside it, or in ../libexec/kiln. Apart from `kiln`, whose libraries
// (libguestfs and libcurl with all of theirs) would take twice the memory in each of an instance's processes. Throws
// Error{missing_tool}.
[[nodiscard]] std::string supervisor_program();

} // namespace kiln::launcher
