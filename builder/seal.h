// SPDX-License-Identifier: Apache-2.0
// Takes out of a mounted system what belongs to one machine or one build: identity, secrets, logs,
// caches. Every build and every snapshot goes through it before publishing.
#pragma once

#include "builder/appliance.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

// Does not run anything of the guest's. Frees the blocks of what it removed (discard) and makes them zeroes. `keep`
// has patterns of glob(7) with {a,b}: what they match, and all below it, is left alone, whatever it is.
void seal(Appliance& appliance, std::span<const std::string> keep = {});

// `authorized_keys` without the keys that Kiln's launches put there (their comment says so).
[[nodiscard]] std::string without_launch_keys(std::string_view authorized_keys);

// What to do with `path` when all of `kept` stays; both are paths without symbolic links in their folders.
enum class SealFate { remove, keep, look_inside };
[[nodiscard]] SealFate fate_of(std::string_view path, std::span<const std::string> kept);

// The glob(7) pattern for the users' homes: those of /etc/passwd, /home/* and /root. A home that is a folder of the
// system's ("/", "/bin", "/dev") is none.
[[nodiscard]] std::string homes_pattern(std::string_view passwd);

} // namespace kiln::builder
