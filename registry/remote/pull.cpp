// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/pull.h"

#include "bundle/test_result_type.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "registry/remote/failure.h"
#include "registry/remote/parallel.h"
#include "registry/remote/partial_blob.h"
#include "registry/remote/referrers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>

namespace kiln::registry::remote
{
namespace fs = std::filesystem;
namespace
{

constexpr std::array taken_types{bundle::signature_artifact_type, bundle::sbom_artifact_type,
                                 bundle::provenance_artifact_type, bundle::lock_artifact_type,
                                 bundle::test_result_artifact_type};
constexpr std::size_t most_artifacts = 64; // also of those that others attached
constexpr std::uint64_t progress_that_counts = std::uint64_t{1} << 20U;

ByteSize less(ByteSize from, ByteSize part)
{
    return ByteSize(from.bytes() - std::min(from.bytes(), part.bytes()));
}

ByteSize size_of(const std::vector<bundle::Descriptor>& blobs)
{
    return std::accumulate(blobs.begin(), blobs.end(), ByteSize(),
                           [](ByteSize sum, const bundle::Descriptor& blob) { return sum + blob.size; });
}

ByteSize size_if_there(const fs::path& file)
{
    std::error_code failure;
    const auto size = fs::file_size(file, failure);
    return ByteSize(failure ? 0 : size);
}

} // namespace

// One layer, in one of the threads.
class RemoteSource::LayerPull
{
public:
    LayerPull(RemoteSource& source, const fs::path& folder, std::stop_token stop)
        : source_(source), folder_(folder), stop_(std::move(stop)), client_(source.repository_, stop_)
    {
    }

    void operator()(const bundle::Descriptor& layer)
    {
        const fs::path target = folder_ / layer.digest.hex();
        if (take_from_region(layer, target)) {
            return;
        }
        // What an earlier pull left may be damaged; then once more, from nothing.
        const bool resumed = fetch(layer, target);
        if (!fs::exists(target) && resumed) {
            static_cast<void>(fetch(layer, target));
        }
        if (!fs::exists(target)) {
            throw remote_error(source_.repository_.reference(), ErrorKind::untrusted,
                               fmt::format("what it sends as the layer {} is something else", layer.digest.to_string()),
                               "push the image again");
        }
    }

private:
    bool take_from_region(const bundle::Descriptor& layer, const fs::path& target)
    {
        if (!source_.is_in_region(layer)) {
            return false;
        }
        link_or_copy(source_.region_.layout().blob_path(layer.digest), target);
        source_.present_ += layer.size.bytes();
        return true;
    }

    // Returns whether a part was there before.
    bool fetch(const bundle::Descriptor& layer, const fs::path& target)
    {
        PartialBlob partial(source_.partial_, layer, stop_);
        if (partial.size() == 0 && take_from_region(layer, target)) {
            partial.remove(); // another pull had it, and is through
            return false;
        }
        const std::uint64_t resumed = partial.size();
        source_.resumed_ += resumed;
        std::uint64_t before = resumed;
        const auto moved = [&] {
            const bool far = partial.size() > before && partial.size() - before >= progress_that_counts;
            before = partial.size();
            return far;
        };
        with_retries(
            source_.repository_.options(), stop_, [&] { fetch_rest(layer, partial); }, moved);
        if (!partial.finish(target)) {
            source_.resumed_ -= std::min<std::uint64_t>(source_.resumed_, resumed);
        }
        return resumed > 0;
    }

    void fetch_rest(const bundle::Descriptor& layer, PartialBlob& partial)
    {
        if (partial.is_whole()) {
            return;
        }
        bool too_long = false;
        client_.read_from(layer, partial.size(), [&](std::uint64_t offset, std::string_view piece) {
            throw_if_interrupted(stop_);
            too_long = !partial.write(offset, piece);
            source_.fetched_ += too_long ? 0 : piece.size();
            return !too_long;
        });
        if (too_long) {
            throw remote_error(source_.repository_.reference(), ErrorKind::untrusted,
                               fmt::format("it sends more for the layer {} than its {} bytes", layer.digest.to_string(),
                                           layer.size.bytes()),
                               "push the image again");
        }
        if (!partial.is_whole()) {
            throw PassingError(
                remote_error(source_.repository_.reference(), ErrorKind::network,
                             fmt::format("it sent only a part of the layer {}", layer.digest.to_string()),
                             "try again: what came is kept"),
                std::nullopt);
        }
    }

    RemoteSource& source_;
    const fs::path& folder_;
    std::stop_token stop_;
    RemoteClient client_;
};

RemoteSource::RemoteSource(const Region& region, const RemoteReference& reference, const RemoteOptions& options,
                           std::stop_token stop)
    : region_(region), repository_(reference, Access::pull, options), stop_(std::move(stop)),
      client_(repository_, stop_), partial_(region.layout().folder() / "partial")
{
    if (!reference.tag && !reference.digest) {
        throw Error(
            ErrorKind::usage, fmt::format("{} names no image in the repository", reference.to_string()),
            fmt::format("add :TAG or @sha256:DIGEST; `skopeo list-tags docker://{}` lists the tags", reference.name()));
    }
}

RemoteSource::~RemoteSource() = default;

void RemoteSource::read_attached_list(const Digest& image)
{
    for (bundle::AttachedManifest& one : read_referrers(client_, repository_.reference(), image).manifests()) {
        const bool taken = std::ranges::find(taken_types, one.artifact_type) != taken_types.end();
        (taken ? attached_ : attached_elsewhere_).push_back(std::move(one));
    }
    if (attached_.size() > bundle::most_attached) {
        throw remote_error(repository_.reference(), ErrorKind::untrusted,
                           fmt::format("it has more than {} documents for the image", bundle::most_attached),
                           "its owner can push the image to another repository");
    }
}

bundle::BundleDocuments RemoteSource::read_documents()
{
    const RemoteReference& reference = repository_.reference();
    auto bytes = reference.digest ? client_.find_manifest(*reference.digest) : client_.find_manifest(*reference.tag);
    if (!bytes) {
        throw remote_error(reference, ErrorKind::not_found, fmt::format("it has no image {}", reference.to_string()),
                           fmt::format("`skopeo list-tags docker://{}` lists the tags", reference.name()));
    }
    const bundle::Descriptor image{std::string(bundle::oci_manifest_type), digest_of(*bytes), ByteSize(bytes->size())};
    static_cast<void>(bundle::parse_ami_oci_manifest(*bytes)); // what is no AMI is said before more is asked for
    image_ = image.digest;
    read_attached_list(image.digest);
    bundle::DocumentSet documents(image, attached_);
    documents.take(image.digest, *std::move(bytes));
    while (const auto wanted = documents.next()) {
        const Digest& digest = wanted->descriptor.digest;
        std::optional<std::string> found =
            wanted->is_manifest ? client_.find_manifest(digest) : client_.read_blob(wanted->descriptor);
        if (!found) {
            throw remote_error(reference, ErrorKind::not_found,
                               fmt::format("it has no manifest {}", digest.to_string()), "push the image again");
        }
        documents.take(digest, *std::move(found));
    }
    bundle::BundleDocuments read = documents.finish();
    for (auto& [hex, layer] : bundle::layers_of(read)) {
        layers_.push_back(layer);
    }
    return read;
}

std::vector<std::string> RemoteSource::launch_statements()
{
    return read_launch_statements(client_, attached_elsewhere_);
}

bool RemoteSource::is_in_region(const bundle::Descriptor& layer) const
{
    const fs::path blob = region_.layout().blob_path(layer.digest);
    std::error_code failure;
    if (!fs::is_regular_file(fs::symlink_status(blob, failure)) || size_if_there(blob) != layer.size) {
        return false;
    }
    return digest_of_file(blob) == layer.digest;
}

ByteSize RemoteSource::needed_space(ByteSize layers) const
{
    for (const bundle::Descriptor& layer : layers_) {
        const ByteSize there = size_if_there(region_.layout().blob_path(layer.digest));
        layers = less(layers, there == layer.size ? there : size_if_there(partial_ / layer.digest.hex()));
    }
    return layers;
}

void RemoteSource::read_layers(const fs::path& folder, const Transfer& transfer)
{
    PartialBlob::sweep(partial_);
    fetch(layers_, folder, transfer);
}

void RemoteSource::fetch(const std::vector<bundle::Descriptor>& blobs, const fs::path& folder, const Transfer& transfer)
{
    const auto all = [this] { return fetched_.load() + resumed_.load() + present_.load(); };
    const std::uint64_t before = all();
    const ByteSize total = size_of(blobs);
    const auto tick = [&] { transfer.transferred(std::min(ByteSize(all() - before), total), total); };
    in_parallel(
        blobs.size(), repository_.options().connections, transfer.stop,
        [&](const std::stop_token& stop) -> Work {
            auto pull = std::make_shared<LayerPull>(*this, folder, stop);
            return [&blobs, pull](std::size_t index) { (*pull)(blobs.at(index)); };
        },
        tick);
    sync_directory(folder);
}

std::vector<Artifact> RemoteSource::read_artifacts(std::string_view type, std::span<const signing::PublicKey> keys,
                                                   const fs::path& folder, const Transfer& transfer)
{
    std::vector<Artifact> found;
    std::size_t looked_at = 0;
    std::vector<bundle::Descriptor> blobs;
    for (const bundle::AttachedManifest& one : attached_elsewhere_) {
        if (one.artifact_type != type || ++looked_at > most_artifacts) {
            continue;
        }
        try {
            const std::string manifest = client_.find_manifest(one.manifest.digest).value_or("");
            const auto named = bundle::parse_attached_oci_manifest(manifest, type, most_artifact_files);
            Artifact artifact = check_artifact(manifest, client_.read_blob(named.envelope), image_.value(), type, keys);
            for (const bundle::Descriptor& file : artifact.files) {
                if (std::ranges::find(blobs, file.digest, &bundle::Descriptor::digest) == blobs.end()) {
                    blobs.push_back(file);
                }
            }
            found.push_back(std::move(artifact));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::untrusted && error.kind() != ErrorKind::not_found) {
                throw;
            }
            if (repository_.options().note) {
                repository_.options().note(fmt::format("what is attached as {} is left out: {}",
                                                       one.manifest.digest.to_string(), error.message()));
            }
        }
    }
    require_free_space(folder, size_of(blobs), "what is attached to the image");
    fetch(blobs, folder, transfer);
    layers_.insert(layers_.end(), blobs.begin(), blobs.end()); // finish() has them to drop
    return found;
}

void RemoteSource::finish()
{
    for (const bundle::Descriptor& layer : layers_) {
        PartialBlob::drop(partial_, layer.digest);
    }
}

Fetched RemoteSource::fetched() const
{
    return {ByteSize(fetched_.load()), ByteSize(resumed_.load()), ByteSize(present_.load())};
}

} // namespace kiln::registry::remote
