// SPDX-License-Identifier: Apache-2.0
// Single files out of an image, read by libguestfs.
#pragma once

#include "builder/diff/image_diff.h"
#include "builder/guest_accounts.h"

#include <cstdint>
#include <string>
#include <vector>

namespace kiln::builder
{

struct ImageFile {
    enum class Kind { file, folder, link, large, other }; // large: a file that is past what a recipe's step takes
    std::string path;                                     // absolute
    Kind kind = Kind::other;
    std::uint32_t mode = 0; // of permissions
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::string content; // of a file; of a link its target
};

struct ImageFiles {
    std::vector<ImageFile> files; // those of the paths that are there, in their order
    std::vector<GuestUser> users; // all of the image's
};

// At most 16 MiB of a file and 64 MiB of all: the others are `large`. Throws as diff_images.
[[nodiscard]] ImageFiles read_image_files(const std::vector<ImageDisk>& disks, const std::vector<std::string>& paths,
                                          const DiffOptions& options, Progress& progress, const std::stop_token& stop);

} // namespace kiln::builder
