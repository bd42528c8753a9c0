// SPDX-License-Identifier: Apache-2.0
#include "builder/guest_machine.h"

#include "core/error.h"

#include <fmt/format.h>

#include <string>

namespace kiln::builder
{

std::string_view machine_of(std::string_view program)
{
    constexpr std::string_view elf_magic = "\x7f"
                                           "ELF";
    constexpr std::size_t byte_order_at = 5;
    constexpr char little_endian = 1;
    constexpr std::size_t machine_at = 18; // 2 bytes
    if (!program.starts_with(elf_magic) || program.size() < machine_at + 2 || program[byte_order_at] != little_endian) {
        return {};
    }
    const int low = static_cast<unsigned char>(program[machine_at]);
    const int high = static_cast<unsigned char>(program[machine_at + 1]);
    switch (low | high << 8) {
    case 3:
        return "i386";
    case 62:
        return "x86_64";
    case 183:
        return "aarch64";
    default:
        return {};
    }
}

void require_machine(Appliance& appliance, std::string_view architecture)
{
    for (const char* name : {"/bin/sh", "/bin/ls", "/usr/bin/env"}) {
        if (!appliance.exists(name)) {
            continue;
        }
        const std::string program = appliance.canonical(name); // no link leads out of the guest
        const std::string_view found =
            appliance.is_file(program) ? machine_of(appliance.read_file(program)) : std::string_view();
        if (found.empty()) {
            continue;
        }
        if (found == architecture || (found == "i386" && architecture == "x86_64")) {
            return;
        }
        throw Error(ErrorKind::step_failed,
                    fmt::format("the system on the disk is one for {}, not for {}", found, architecture),
                    "take the image for the other architecture");
    }
}

} // namespace kiln::builder
