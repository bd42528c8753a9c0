// SPDX-License-Identifier: Apache-2.0
// Everything that comes with an image but its layers, taken from a hostile source piece by piece: a tar, or a server.
// A document is taken when one before it named it, with the digest and size that were given there.
#pragma once

#include "bundle/manifest.h"
#include "bundle/oci.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kiln::bundle
{

inline constexpr std::size_t most_attached = 64; // to one image

// A manifest that is attached to the image.
struct AttachedManifest {
    std::string artifact_type;
    Descriptor manifest;
};

struct Document {
    Descriptor descriptor;
    std::string bytes; // with that digest and size
};

// Everything of an image but its layers; consistent in itself, and not verified against any key.
struct BundleDocuments {
    Descriptor image;
    AmiOciManifest oci;
    Manifest manifest;
    std::vector<AttachedManifest> attached;
    std::vector<Document> documents;
};

// The layers by their hex digits. Throws Error{untrusted} when one is named twice, or as a document as well.
[[nodiscard]] std::map<std::string, Descriptor> layers_of(const BundleDocuments& documents);

// Holds at most 128 MiB. Throws Error{untrusted}.
class DocumentSet
{
public:
    DocumentSet(Descriptor image, std::vector<AttachedManifest> attached);
    ~DocumentSet();
    DocumentSet(const DocumentSet&) = delete;
    DocumentSet& operator=(const DocumentSet&) = delete;

    // A document that was named and is not there yet.
    struct Wanted {
        Descriptor descriptor;
        bool is_manifest = false; // which registries keep apart from other blobs
    };
    [[nodiscard]] std::optional<Wanted> next() const; // nullopt: all are there
    [[nodiscard]] std::optional<Wanted> find(const Digest& digest) const;
    [[nodiscard]] bool is_layer(const Digest& digest) const;

    // The caller found it with find() or next(); its size and digest are checked here.
    void take(const Digest& digest, std::string bytes);
    // Once, when all are there.
    [[nodiscard]] BundleDocuments finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace kiln::bundle
