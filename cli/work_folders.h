// SPDX-License-Identifier: Apache-2.0
// The folders of one build or snapshot: for its disks below the home, for its sockets where paths are
// short. What killed ones left is swept on the way.
#pragma once

#include "core/files.h"
#include "core/paths.h"

#include <string_view>

namespace kiln::cli
{

struct WorkFolders {
    WorkFolders(const Paths& paths, std::string_view prefix)
        : disks(swept(paths.work), prefix), sockets(swept(private_run(paths) / "work"), prefix)
    {
    }

    WorkFolder disks;
    WorkFolder sockets;

private:
    static const std::filesystem::path& private_run(const Paths& paths)
    {
        make_private_directory(paths.run);
        return paths.run;
    }
    static std::filesystem::path swept(const std::filesystem::path& parent)
    {
        WorkFolder::sweep_abandoned(parent);
        return parent;
    }
};

} // namespace kiln::cli
