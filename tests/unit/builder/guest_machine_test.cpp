// SPDX-License-Identifier: Apache-2.0
#include "builder/guest_machine.h"

#include <gtest/gtest.h>

#include <string>

namespace kiln::builder
{
namespace
{

std::string elf(int machine, char byte_order = 1)
{
    std::string header("\x7f"
                       "ELF");
    header += std::string{2, byte_order, 1} + std::string(11, '\0');
    header += std::string{static_cast<char>(machine & 0xff), static_cast<char>(machine >> 8)};
    return header;
}

TEST(GuestMachine, IsWhatAProgramsHeaderSays)
{
    EXPECT_EQ("x86_64", machine_of(elf(62) + "the rest"));
    EXPECT_EQ("i386", machine_of(elf(3)));
    EXPECT_EQ("aarch64", machine_of(elf(183)));
    EXPECT_EQ("", machine_of(elf(243))); // RISC-V
    EXPECT_EQ("", machine_of(elf(62 << 8)));
}

TEST(GuestMachine, OfWhatIsNoProgramNothingIsSaid)
{
    EXPECT_EQ("", machine_of(""));
    EXPECT_EQ("", machine_of("#!/bin/sh\nexec /usr/bin/busybox"));
    EXPECT_EQ("", machine_of(elf(62).substr(0, 19)));
    EXPECT_EQ("", machine_of(elf(62, 2))); // big-endian, where the number is another
}

} // namespace
} // namespace kiln::builder
