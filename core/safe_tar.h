// SPDX-License-Identifier: Apache-2.0
// Turns a foreign archive into a tar that may be unpacked in a guest.
#pragma once

#include "core/byte_size.h"

#include <cstdint>
#include <filesystem>
#include <optional>

namespace kiln
{

struct SafeTarOptions {
    int strip = 0;                            // leading components to take off each name
    std::optional<std::uint32_t> owner{};     // of everything; none: as the archive says
    std::optional<std::uint32_t> group{};     //
    ByteSize largest_content = gibibytes(16); // of all members together
    std::uint64_t most_members = 1'000'000;
    bool plain_tar = false; // neither compressed nor zip, and so from a pipe, too
    // It is the root of a system: set-id bits and file capabilities (security.capability) come through, and devices
    // below dev/ are left out instead of refused.
    bool whole_system = false;
};

// Writes the members of `archive` (tar with gzip, xz, zstd or bzip2, or zip) to the new file `tar`: pax,
// uncompressed, every folder before what is in it. Only folders, regular files, symbolic links and hard links to
// files come through, with name, mode, owner, time and content; a member with no name left after `strip` is left out.
// Throws Error{untrusted} that names the member for an absolute name, "..", a way through a symbolic link, a hard
// link to anything but an earlier file, a device, FIFO or socket, set-id bits, control characters or bytes that are
// not UTF-8, a name that comes twice, content that is not as long as it says, and for more than the limits allow;
// also for an archive that is damaged or in another format. Throws Error{io, no_space} for the host's own failures.
// Removes `tar` when it throws.
void write_safe_tar(const std::filesystem::path& archive, const std::filesystem::path& tar,
                    const SafeTarOptions& options);

} // namespace kiln
