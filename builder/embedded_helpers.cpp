// SPDX-License-Identifier: Apache-2.0
#include "builder/embedded_helpers.h"

// Read-only data, each with a symbol before and after it.
asm(".pushsection .rodata\n"
    "kiln_qemu_wrapper_begin: .incbin \"" KILN_QEMU_WRAPPER "\"\n"
    "kiln_qemu_wrapper_end:\n"
    "kiln_wake_begin: .incbin \"" KILN_WAKE "\"\n"
    "kiln_wake_end:\n"
    ".popsection\n");

extern "C" {
extern const char kiln_qemu_wrapper_begin[];
extern const char kiln_qemu_wrapper_end[];
extern const char kiln_wake_begin[];
extern const char kiln_wake_end[];
}

namespace kiln::builder
{

std::string_view qemu_wrapper_program()
{
    return {kiln_qemu_wrapper_begin, kiln_qemu_wrapper_end};
}

std::string_view wake_program()
{
    return {kiln_wake_begin, kiln_wake_end};
}

} // namespace kiln::builder
