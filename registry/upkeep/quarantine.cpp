// SPDX-License-Identifier: Apache-2.0
#include "registry/upkeep/quarantine.h"

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "core/text.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>

namespace kiln::registry
{
namespace fs = std::filesystem;

BlobSource blobs_of(std::string name, fs::path region_folder)
{
    return {std::move(name), [folder = std::move(region_folder)](const Digest& digest, const fs::path& to) {
                const fs::path blob = folder / "blobs" / "sha256" / digest.hex();
                if (!fs::is_regular_file(fs::symlink_status(blob))) {
                    return false;
                }
                // A copy, not a link: one damaged file would be the blob of both regions.
                fs::copy_file(blob, to);
                return true;
            }};
}

std::string set_aside(const fs::path& region_folder, const fs::path& file)
{
    const fs::path folder = region_folder / "quarantine";
    make_directories(folder, 0700);
    const std::string name = fmt::format("{}.{}", file.filename().native(), random_hex(4));
    if (::rename(file.c_str(), (folder / name).c_str()) != 0) {
        throw system_error(errno, fmt::format("moving {} to {}", file.native(), folder.native()));
    }
    sync_directory(folder);
    sync_directory(file.parent_path());
    return "quarantine/" + name;
}

Healing restore_blob(const fs::path& region_folder, const bundle::Layout& layout, const Digest& digest,
                     const std::vector<BlobSource>& sources)
{
    if (digest == digest_of(bundle::oci_empty_blob)) {
        static_cast<void>(layout.put(bundle::oci_empty_blob, bundle::oci_empty_type));
        return {true, "written anew"};
    }
    std::vector<std::string> refusals;
    const fs::path staging = region_folder / "staging";
    make_directories(staging, 0700);
    for (const BlobSource& source : sources) {
        const fs::path staged = staging / random_hex(16);
        try {
            if (!source.fetch(digest, staged)) {
                continue;
            }
            if (digest_of_file(staged) == digest) {
                static_cast<void>(layout.put_file(staged, bundle::disk_layer_type));
                return {true, "restored from " + source.name};
            }
            refusals.push_back(source.name + " has a damaged one, too");
        } catch (const std::exception& error) {
            refusals.push_back(source.name + ": " + error.what());
        }
        std::error_code ignored;
        fs::remove(staged, ignored);
    }
    return {false, refusals.empty() ? std::string("no other region has it") : join(refusals, "; ")};
}

} // namespace kiln::registry
