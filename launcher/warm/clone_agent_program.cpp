// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/clone_agent_program.h"

// Read-only data with a symbol before and after it.
asm(".pushsection .rodata\n"
    "kiln_clone_agent_begin: .incbin \"" KILN_CLONE_AGENT "\"\n"
    "kiln_clone_agent_end:\n"
    ".popsection\n");

extern "C" {
extern const char kiln_clone_agent_begin[];
extern const char kiln_clone_agent_end[];
}

namespace kiln::launcher
{

std::string_view clone_agent_program()
{
    return {kiln_clone_agent_begin, kiln_clone_agent_end};
}

} // namespace kiln::launcher
