// SPDX-License-Identifier: Apache-2.0
#include "cli/build_logs.h"

#include "core/files.h"
#include "core/random.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kiln::cli
{
namespace fs = std::filesystem;

std::filesystem::path make_log_folder(const Paths& paths, const std::string& name)
{
    constexpr std::size_t most = 20;
    const fs::path logs = paths.home / "logs";
    make_directories(logs, 0700);
    std::vector<fs::path> folders;
    for (const fs::directory_entry& entry : fs::directory_iterator(logs)) {
        folders.push_back(entry.path());
    }
    std::ranges::sort(folders); // their names begin with the time
    for (std::size_t i = 0; i + most <= folders.size(); ++i) {
        std::error_code in_use_or_gone;
        fs::remove_all(folders[i], in_use_or_gone);
    }
    fs::path folder = logs / fmt::format("{}-{}-{}", iso_now(), name, random_hex(4));
    make_directories(folder, 0700);
    return folder;
}

} // namespace kiln::cli
