// SPDX-License-Identifier: Apache-2.0
// Who reads blobs that the catalogue may stop naming meanwhile (a launch, a copy, an export, a build on a parent) holds
// a lease on them: a flock()ed file in the region's folder leases/ that lists digests. A dead holder's lock is gone by
// itself. The shared lock on leases.lock makes taking one atomic for a collector, which holds it exclusively.
#pragma once

#include "core/digest.h"
#include "core/file_descriptor.h"

#include <filesystem>
#include <set>
#include <vector>

namespace kiln::registry
{

class Lease
{
public:
    Lease() = default; // of nothing
    Lease(const std::filesystem::path& region_folder, const std::vector<Digest>& digests);
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();

private:
    std::filesystem::path file_;
    FileDescriptor lock_;
};

struct Leases {
    std::set<Digest> digests;                // of living holders
    std::vector<std::filesystem::path> dead; // files whose holders are gone
};
// The caller holds leases_lock() exclusively. Throws Error{io} for a living holder's file that can't be read.
[[nodiscard]] Leases read_leases(const std::filesystem::path& region_folder);

[[nodiscard]] inline std::filesystem::path leases_lock(const std::filesystem::path& region_folder)
{
    return region_folder / "leases.lock";
}

} // namespace kiln::registry
