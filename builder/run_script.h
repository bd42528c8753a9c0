// SPDX-License-Identifier: Apache-2.0
// How a `run` step's script is started in the guest: the files that do it, which lie in a folder of the
// appliance's memory. Scripts, environment and output never touch the guest's disk, nor any argv.
#pragma once

#include "recipes/recipe.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace kiln::builder
{

inline constexpr std::string_view run_folder = "/run/kiln-step";
inline constexpr std::string_view secrets_folder = "/run/secrets";
inline constexpr std::size_t largest_output = std::size_t{16} << 20U; // what is more is dropped

// run_folder/start: sets the environment and the folder, runs run_folder/script, and notes its exit status in
// run_folder/status. Without that file the script did not end by itself.
// Throws Error{internal} for an environment variable with an impossible name.
[[nodiscard]] std::string start_script(const recipes::RunStep& step);

// run_folder/runner, with the time limit in seconds as its argument: runs `start` with its output in run_folder/log
// and prints the status of timeout(1).
[[nodiscard]] std::string runner_script();

} // namespace kiln::builder
