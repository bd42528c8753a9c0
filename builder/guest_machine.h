// SPDX-License-Identifier: Apache-2.0
// Which machine a system that others built is for, by one of its programs.
#pragma once

#include "builder/appliance.h"

#include <string_view>

namespace kiln::builder
{

// "x86_64", "i386" or "aarch64", by the header of an ELF file (System V ABI, e_machine); empty for anything else. Pure.
[[nodiscard]] std::string_view machine_of(std::string_view program);

// Throws Error{step_failed} when the mounted system is seen to be for another machine than `architecture`, which is
// "x86_64" or "aarch64". A 32-bit system runs on x86_64; of one without the usual programs nothing is known.
void require_machine(Appliance& appliance, std::string_view architecture);

} // namespace kiln::builder
