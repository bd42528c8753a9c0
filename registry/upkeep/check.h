// SPDX-License-Identifier: Apache-2.0
// Region::check reads everything that a region stores: each blob against its name, the index and the layout's file, the
// catalogue and its events against each other. With `repair` it sets aside what is damaged (in quarantine/, never
// deleted) and puts whole blobs in its place where a source has them.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"
#include "registry/region.h"

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::registry
{

// Where a blob may be had once more: another region of this home, a remote registry. Whatever it delivers is read and
// hashed before it is believed.
struct BlobSource {
    std::string name; // "region eu-west"
    // Writes the blob to the new file `to`; false when it has none. What it throws is noted, and the next one is asked.
    std::function<bool(const Digest& digest, const std::filesystem::path& to)> fetch;
};
// The blobs of another layout on this machine.
[[nodiscard]] BlobSource blobs_of(std::string name, std::filesystem::path region_folder);

struct CheckOptions {
    const signing::TrustStore& trust;
    bool repair = false;
    std::vector<BlobSource> sources{}; // asked in this order; with `repair` only
    std::string account{};             // for the audit log
    std::function<void(ByteSize done, ByteSize total)> progress{};
    std::stop_token stop{};
};

struct Damage {
    // "blob", "missing-blob", "stray-file", "index", "catalogue", "events"
    std::string kind;
    std::string subject;               // a digest, a file, or an image's id
    std::string detail;                // for a person
    std::vector<std::string> images{}; // who needs it: "web 1.0.0 (ami-...)"; empty: nobody
    std::string repair{};              // what was done about it; empty: nothing
    bool healed = false;               // all is as it should be now
};

struct CheckReport {
    std::vector<Damage> damages{};
    std::size_t images = 0; // that are registered
    std::size_t blobs = 0;  // that were read
    ByteSize bytes{};
    std::int64_t events = 0;
    std::vector<std::string> unverified{}; // accounts whose events no trusted key signed, so that they are only claims
    std::size_t garbage = 0;               // blobs that nothing needs; `collect` removes them
    [[nodiscard]] bool whole() const;      // nothing, or nothing that is left
};

// The file oci-layout, which a region can't be opened without; before that. Nothing when it is whole, or there is no
// region.
[[nodiscard]] std::vector<Damage> check_layout_file(const std::filesystem::path& region_folder, bool repair);

} // namespace kiln::registry
