// SPDX-License-Identifier: Apache-2.0
// Files that are attached to an image, with a description of them that an account signed: the templates of its warm
// launches. In the region they are blobs, which an OCI manifest names whose subject is the image's.
#pragma once

#include "bundle/oci.h"
#include "core/json.h"
#include "registry/region.h"
#include "signing/keys.h"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

class VerificationRecord;

struct Artifact {
    Digest manifest;                       // of its OCI manifest, by which it is told from others
    std::string envelope;                  // what was signed: the description, and the files' digests
    Json description;                      // the signer's
    std::vector<bundle::Descriptor> files; // as they were signed, in the signer's order
    [[nodiscard]] ByteSize size() const;   // of all files
};

inline constexpr std::size_t most_artifact_files = 64;

// Those of the type that one of the keys signed, in the index's order; their files are not looked at. What nobody of
// them signed is somebody else's, and left out; what is wrong with others is added to `faults`.
[[nodiscard]] std::vector<Artifact> find_artifacts(const bundle::Layout& layout, const Digest& image,
                                                   std::string_view artifact_type,
                                                   std::span<const signing::PublicKey> keys,
                                                   std::vector<std::string>& faults);

// The same for one that comes from elsewhere; throws Error{untrusted} for what find_artifacts does not return.
[[nodiscard]] Artifact check_artifact(const std::string& manifest, std::string envelope, const Digest& image,
                                      std::string_view artifact_type, std::span<const signing::PublicKey> keys);

// The files' paths, once each is seen to have the content that was signed; what `record` has is not read again. Throws
// Error{untrusted, not_found}.
[[nodiscard]] std::vector<std::filesystem::path> verified_files(const bundle::Layout& layout, const Artifact& artifact,
                                                                VerificationRecord* record);

// Moves the files (of the region's file system) into the region, and attaches them. Throws Error{io, no_space}.
Artifact attach_files(const Region& region, const Image& image, std::string_view artifact_type, const Json& description,
                      const std::vector<std::filesystem::path>& files, const signing::SecretKey& key);
// The same for one that is signed already; its files are in `folder`, named by their digests in hex digits, or blobs of
// the region. Throws Error{untrusted} for one with other content, Error{not_found}.
void attach_artifact(const Region& region, const Image& image, std::string_view artifact_type, const Artifact& artifact,
                     const std::filesystem::path& folder);

// Detaches it; nothing happens when it is not there. The space is free when the region has been collected (`kiln
// registry gc`). Throws Error{io, no_space}.
void detach_artifact(const Region& region, const Digest& manifest);

} // namespace kiln::registry
