// SPDX-License-Identifier: Apache-2.0
// Instances as text for people, and options that commands share.
#pragma once

#include "launcher/instance.h"

#include <CLI/CLI.hpp>

#include <string>

namespace kiln::cli
{

// What a user does next with a fresh instance.
[[nodiscard]] std::string how_to_reach(const launcher::Instance& instance);

// --shutdown-behavior, of `run` and `instance modify`, and what it says.
void add_shutdown_behavior(CLI::App& command, std::string& behavior);
[[nodiscard]] launcher::ShutdownBehavior parse_shutdown_behavior(const std::string& text);

} // namespace kiln::cli
