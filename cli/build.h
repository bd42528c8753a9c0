// SPDX-License-Identifier: Apache-2.0
// A recipe into an AMI of the region; `kiln build` and the quick start share it.
#pragma once

#include "cli/context.h"
#include "core/progress.h"

#include <filesystem>
#include <string>
#include <vector>

namespace kiln::cli
{

struct BuildCommand {
    std::filesystem::path recipe{};
    std::vector<std::string> parameters{}; // "NAME=VALUE"
    bool lock = false;
    bool no_cache = false;
    bool debug = false;
};

struct Built {
    registry::Image image;
    bool reused = false;               // it was there, from this very recipe
    std::filesystem::path lock_file{}; // empty: none
};

[[nodiscard]] Built build_recipe(const Context& context, const BuildCommand& options, Progress& progress);

} // namespace kiln::cli
