// SPDX-License-Identifier: Apache-2.0
// An image in a remote registry as a source of Region::import_image, which decides what is taken.
#pragma once

#include "registry/artifact.h"
#include "registry/image_source.h"
#include "registry/remote/remote_client.h"

#include <atomic>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry::remote
{

// How many bytes of layers came from where; documents are not counted.
struct Fetched {
    ByteSize fetched; // over the network, this time
    ByteSize resumed; // of an earlier pull that ended early
    ByteSize present; // were in the region
};

class RemoteSource : public ImageSource
{
public:
    // `region` gets the image: its blobs are not fetched again, and what a killed pull leaves is kept in its folder
    // `partial`. All of it outlives the source. Throws Error{usage} for a reference without tag and digest.
    RemoteSource(const Region& region, const RemoteReference& reference, const RemoteOptions& options,
                 std::stop_token stop);
    ~RemoteSource() override;

    [[nodiscard]] bundle::BundleDocuments read_documents() override;
    [[nodiscard]] std::vector<std::string> launch_statements() override;
    [[nodiscard]] ByteSize needed_space(ByteSize layers) const override;
    void read_layers(const std::filesystem::path& folder, const Transfer& transfer) override;
    void finish() override;

    // After read_documents(): what else is attached to the image, of that type and signed by one of the keys, with its
    // files in `folder`, of the region's file system, named by their digests in hex digits. What is none of that is
    // left out, with a note. Throws Error{no_space, io, interrupted, untrusted} and the errors of failure.h.
    [[nodiscard]] std::vector<Artifact> read_artifacts(std::string_view type, std::span<const signing::PublicKey> keys,
                                                       const std::filesystem::path& folder, const Transfer& transfer);
    // Of the image's OCI manifest; nullopt before read_documents().
    [[nodiscard]] const std::optional<Digest>& image() const noexcept { return image_; }

    [[nodiscard]] Fetched fetched() const;

private:
    class LayerPull;
    void read_attached_list(const Digest& image);
    void fetch(const std::vector<bundle::Descriptor>& blobs, const std::filesystem::path& folder,
               const Transfer& transfer);
    [[nodiscard]] bool is_in_region(const bundle::Descriptor& layer) const;

    const Region& region_;
    Repository repository_;
    std::stop_token stop_;
    RemoteClient client_;
    std::filesystem::path partial_;
    std::optional<Digest> image_;
    std::vector<bundle::AttachedManifest> attached_;           // what import_image takes
    std::vector<bundle::AttachedManifest> attached_elsewhere_; // other types
    std::vector<bundle::Descriptor> layers_;
    std::atomic<std::uint64_t> fetched_ = 0;
    std::atomic<std::uint64_t> resumed_ = 0;
    std::atomic<std::uint64_t> present_ = 0;
};

} // namespace kiln::registry::remote
