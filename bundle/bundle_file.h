// SPDX-License-Identifier: Apache-2.0
// The single-file form of an image, NAME-VERSION-ARCH.ami: an uncompressed tar of an OCI image layout with that image
// and what is attached to it. docs/bundle-format.md has the order of its members: every blob comes after the one that
// names it, and the layers come last, so that a reader of a pipe knows what is signed before a layer begins.
#pragma once

#include "bundle/document_set.h"
#include "bundle/oci.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::bundle
{

// What a bundle holds: each blob once, in the order of its members.
struct BundleContents {
    Descriptor image; // the OCI manifest
    std::vector<AttachedManifest> attached;
    std::vector<Descriptor> documents; // manifests, configuration, envelopes
    std::vector<Descriptor> layers;
    [[nodiscard]] ByteSize size() const; // of all blobs
};

// How far it is, out of how much; called many times a second, in the caller's thread.
using Transferred = std::function<void(ByteSize done, ByteSize total)>;

// The image whose OCI manifest has that digest, with what is attached to it. Throws Error{untrusted, not_found}.
[[nodiscard]] BundleContents contents_of(const Layout& layout, const Digest& image);

// Writes the bundle to a descriptor, which stays the caller's. `reference` is the image's name in the index. Each
// blob's digest is checked on the way. Throws Error{untrusted, io, no_space, interrupted}.
void write_bundle(const Layout& layout, const BundleContents& contents, const std::string& reference, int fd,
                  const Transferred& transferred, const std::stop_token& stop);

// Reads a hostile bundle from a descriptor, which stays the caller's and may be a pipe. Throws Error{untrusted} that
// names the member, for anything but plain files with the names, sizes and digests that members before them gave.
class BundleReader
{
public:
    explicit BundleReader(int fd);
    ~BundleReader();
    BundleReader(const BundleReader&) = delete;
    BundleReader& operator=(const BundleReader&) = delete;

    // First, and once. Holds at most 128 MiB in memory.
    [[nodiscard]] BundleDocuments read_documents();
    // After the caller has found the documents to be signed: writes each layer to a new file FOLDER/HEX, durable and
    // read-only, and reads the bundle to its end. Throws Error{io, no_space, interrupted} as well.
    void read_layers(const std::filesystem::path& folder, const Transferred& transferred, const std::stop_token& stop);

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace kiln::bundle
