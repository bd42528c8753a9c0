// SPDX-License-Identifier: Apache-2.0
// Part of kiln-clone-agent: makes of the template's identity the clone's own. Each function throws Failure.
#pragma once

#include "launcher/warm/clone_message.h"

#include <string>

namespace kiln::guest
{

// First of all: the kernel's random generator by the message's "seed" (64 bytes), the clock by its "time".
void reseed(const std::string& seed);
void set_clock(const std::string& seconds_and_nanoseconds);

// What the message's values ask for, in files and in the kernel; nobody else runs meanwhile. See
// launcher/warm/clone_identity.h for the values.
void take_identity(const launcher::CloneMessage& message);

// Reads what take_identity will, so that it is in memory then.
void rehearse();

// 32 bytes in hexadecimal, for the host's log.
[[nodiscard]] std::string fresh_random();

// As they are now, in JSON: "machine_id", "host_name", "mac" (of that one's card), "address", "clock" (nanoseconds
// since the epoch); and "random" as given.
[[nodiscard]] std::string describe_identity(const std::string& mac, const std::string& random);

[[nodiscard]] std::string json_string(const std::string& text);

} // namespace kiln::guest
