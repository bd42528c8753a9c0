// SPDX-License-Identifier: Apache-2.0
// Where the logs of a build's steps are kept: the last builds' only.
#pragma once

#include "core/paths.h"

#include <filesystem>
#include <string>

namespace kiln::cli
{

// A new private folder below logs/ in the home; the oldest beyond twenty go.
[[nodiscard]] std::filesystem::path make_log_folder(const Paths& paths, const std::string& name);

} // namespace kiln::cli
