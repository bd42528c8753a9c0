// SPDX-License-Identifier: Apache-2.0
// Turns a foreign archive into a tar that may be unpacked in a guest.
#pragma once

#include "core/byte_size.h"

#include <cstdint>
#include <filesystem>
#include <optional>

namespace kiln::builder
{

struct SafeTarOptions {
    int strip = 0;                            // leading components to take off each name
    std::optional<std::uint32_t> owner{};     // of everything; none: as the archive says
    std::optional<std::uint32_t> group{};     //
    ByteSize largest_content = gibibytes(16); // of all members together
    std::uint64_t most_members = 1'000'000;
};

// Writes the members of `archive` (tar and its compressions, zip) to the new file `tar`: pax, uncompressed, every
// folder before what is in it. Throws Error{untrusted} for a member that would leave the folder (an absolute
// name, "..", a way through a symbolic link), for devices and FIFOs, set-id bits, a name that comes twice, and for
// more than the limits allow.
void write_safe_tar(const std::filesystem::path& archive, const std::filesystem::path& tar,
                    const SafeTarOptions& options);

} // namespace kiln::builder
