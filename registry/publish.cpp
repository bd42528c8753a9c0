// SPDX-License-Identifier: Apache-2.0
// Region::publish: every blob, then the index, then the catalogue's row. Only the row makes an
// image exist, so a publisher that is killed before it leaves nothing but unreferenced blobs.
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/file_digest.h"
#include "core/files.h"
#include "core/random.h"
#include "core/timestamp.h"
#include "registry/envelope.h"
#include "registry/lifecycle.h"
#include "registry/predicate_type.h"
#include "registry/region_state.h"
#include "signing/attestation.h"
#include "signing/dsse.h"
#include "signing/statement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <future>
#include <map>
#include <utility>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

// What Layout::read_verified accepts; a larger manifest could be written but never be read.
constexpr ByteSize largest_manifest = mebibytes(16);

std::string title_of(const bundle::Manifest& manifest)
{
    return fmt::format("{} {} ({})", manifest.name, manifest.version.to_string(), manifest.architecture);
}

bundle::BlockDeviceMapping& device_of(bundle::Manifest& manifest, const NewLayer& layer)
{
    const auto found = std::find_if(manifest.block_devices.begin(), manifest.block_devices.end(),
                                    [&](const auto& mapping) { return mapping.device == layer.device; });
    if (found == manifest.block_devices.end()) {
        throw Error(ErrorKind::internal, fmt::format("a new layer is for {}, which the manifest of {} does not have",
                                                     layer.device, title_of(manifest)));
    }
    return *found;
}

ByteSize size_of_file(const fs::path& file)
{
    std::error_code failure;
    const auto size = fs::is_regular_file(fs::symlink_status(file)) ? fs::file_size(file, failure) : 0;
    if (failure || size == 0) {
        throw Error(ErrorKind::io, fmt::format("the new layer {} is missing or empty", file.native()));
    }
    return ByteSize(size);
}

// Refuses what the strict reader would refuse after publishing, before any file is moved.
void require_readable(const bundle::Manifest& manifest)
{
    try {
        const std::string bytes = canonical_json(bundle::to_json(manifest));
        static_cast<void>(bundle::manifest_from_json(parse_json(bytes, "manifest")));
        if (bytes.size() > largest_manifest.bytes()) {
            throw Error(ErrorKind::untrusted,
                        fmt::format("manifest: it is larger than {}", to_string(largest_manifest)));
        }
    } catch (Error& error) {
        error.while_doing("publishing " + title_of(manifest));
        throw;
    }
}

void require_parent_layers(const bundle::Manifest& manifest, const bundle::Layout& layout)
{
    for (const auto& mapping : manifest.block_devices) {
        for (const auto& layer : mapping.layers) {
            std::error_code failure;
            const auto size = fs::file_size(layout.blob_path(layer.digest), failure);
            if (failure || ByteSize(size) != layer.size) {
                throw Error(ErrorKind::not_found,
                            fmt::format("publishing {}: its parent's layer {} is missing or damaged in this region",
                                        title_of(manifest), layer.digest.to_string()),
                            "`kiln image verify` shows the state of the parent; build that again");
            }
        }
    }
}

// A stand-in for each new layer, so that the rules can be checked before the real one is moved.
bundle::Manifest with_stand_ins(bundle::Manifest manifest, const std::vector<NewLayer>& layers)
{
    for (const NewLayer& layer : layers) {
        const Digest unlikely = digest_of(layer.file.native());
        device_of(manifest, layer).layers.push_back({unlikely, size_of_file(layer.file)});
    }
    return manifest;
}

// Begins to hash the chunks of a large layer, by a descriptor of its own: the file is moved meanwhile.
std::future<std::optional<bundle::LayerChunks>> begin_chunks(const fs::path& file)
{
    const ByteSize length = size_of_file(file);
    const auto size = bundle::chunk_size_for(length);
    if (!size) {
        return std::async(std::launch::deferred, [] { return std::optional<bundle::LayerChunks>(); });
    }
    FileDescriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!opened) {
        throw system_error(errno, fmt::format("opening {}", file.native()));
    }
    return std::async(std::launch::async, [fd = std::move(opened), length, chunk = *size] {
        return std::optional(
            bundle::LayerChunks{chunk, digests_of_chunks(fd.get(), length, chunk, "a layer that is published")});
    });
}

void store_layers(bundle::Manifest& manifest, const std::vector<NewLayer>& layers, const bundle::Layout& layout)
{
    for (const NewLayer& layer : layers) {
        auto chunks = begin_chunks(layer.file);
        const bundle::Descriptor stored = layout.put_file(layer.file, bundle::disk_layer_type);
        if (layer.digest && stored.digest != *layer.digest) {
            throw Error(ErrorKind::io,
                        fmt::format("publishing {}: a cached layer changed since it was written; it was {}",
                                    title_of(manifest), layer.digest->to_string()),
                        "build with --no-cache");
        }
        device_of(manifest, layer).layers.push_back({stored.digest, stored.size, chunks.get()});
    }
}

using IndexEntries = std::vector<bundle::Layout::NewEntry>;

IndexEntries index_entries(const bundle::Manifest& manifest, const bundle::Descriptor& image,
                           const bundle::Descriptor& signature)
{
    const std::string reference =
        fmt::format("{}-{}-{}", manifest.name, manifest.version.to_string(), manifest.architecture);
    return {{image, bundle::ami_artifact_type, {{bundle::reference_name_annotation, reference}}},
            {signature, bundle::signature_artifact_type, {{bundle::subject_annotation, image.digest.to_string()}}}};
}

void store_attachments(const std::vector<Attachment>& attachments, const bundle::Manifest& manifest,
                       const bundle::Descriptor& image, const signing::SecretKey& key, const bundle::Layout& layout,
                       IndexEntries& entries)
{
    const std::string name = fmt::format("{}@{}", manifest.name, manifest.version.to_string());
    for (const Attachment& attachment : attachments) {
        const std::string envelope =
            signing::sign_attestation({.subject_name = name,
                                       .subject = image.digest,
                                       .predicate_type = std::string(predicate_type_of(attachment.artifact_type)),
                                       .predicate = parse_json(attachment.bytes, attachment.artifact_type)},
                                      key);
        if (envelope.size() > largest_manifest.bytes()) {
            throw Error(ErrorKind::io, fmt::format("publishing {}: its {} is larger than {} when it is signed", name,
                                                   attachment.artifact_type, to_string(largest_manifest)));
        }
        entries.push_back({store_envelope(envelope, attachment.artifact_type, image, layout),
                           attachment.artifact_type,
                           {{bundle::subject_annotation, image.digest.to_string()}}});
    }
}

} // namespace

bundle::Descriptor store_signature(const bundle::Manifest& manifest, const bundle::Descriptor& subject,
                                   const signing::SecretKey& key, const bundle::Layout& layout)
{
    const std::string payload = signing::statement_payload({.name = manifest.name,
                                                            .version = manifest.version,
                                                            .architecture = manifest.architecture,
                                                            .manifest = subject.digest,
                                                            .account = manifest.owner,
                                                            .signed_at = iso_now()});
    const std::string envelope = signing::sign_envelope(signing::in_toto_payload_type, payload, key);
    return store_envelope(envelope, bundle::signature_artifact_type, subject, layout);
}

Image row_of(const bundle::Manifest& manifest, const Digest& oci_manifest)
{
    ByteSize virtual_size;
    std::map<std::string, ByteSize> blobs;
    for (const auto& mapping : manifest.block_devices) {
        virtual_size = virtual_size + mapping.size;
        for (const auto& layer : mapping.layers) {
            blobs.insert_or_assign(layer.digest.hex(), layer.size);
        }
    }
    ByteSize stored_size;
    for (const auto& [digest, size] : blobs) {
        stored_size = stored_size + size;
    }
    Image image{.id = random_resource_id("ami-"),
                .name = manifest.name,
                .version = manifest.version,
                .architecture = manifest.architecture,
                .description = manifest.description,
                .owner = manifest.owner,
                .manifest = oci_manifest,
                .created = manifest.created,
                .virtual_size = virtual_size,
                .stored_size = stored_size,
                .recipe = manifest.source.recipe};
    start_lifecycle(image, manifest);
    return image;
}

Image Region::publish(bundle::Manifest manifest, const std::vector<NewLayer>& layers, const signing::SecretKey& key,
                      const std::vector<Attachment>& attachments)
{
    const FileLock lock(lock_file(state_->folder), FileLock::Wait::block);
    return publish_locked(std::move(manifest), layers, key, attachments);
}

Image Region::publish_next_patch(bundle::Manifest manifest, const std::vector<NewLayer>& layers,
                                 const signing::SecretKey& key, const AttachmentsOf& attachments)
{
    const FileLock lock(lock_file(state_->folder), FileLock::Wait::block);
    manifest.version = next_patch(manifest.name, manifest.version.major, manifest.version.minor, manifest.architecture);
    const auto attached = attachments ? attachments(manifest.version) : std::vector<Attachment>();
    return publish_locked(std::move(manifest), layers, key, attached);
}

Image Region::publish_locked(bundle::Manifest manifest, const std::vector<NewLayer>& layers,
                             const signing::SecretKey& key, const std::vector<Attachment>& attachments)
{
    const bundle::Layout& layout = state_->layout;
    manifest.schema = bundle::schema_for(manifest); // a snapshot's is made of its parent's
    state_->require_free(manifest.name, manifest.version, manifest.architecture);
    state_->events().catch_up(signing::no_keys); // a catalogue that was rolled back is told before the long work
    layout.sweep_abandoned();
    require_parent_layers(manifest, layout);
    require_readable(with_stand_ins(manifest, layers));
    store_layers(manifest, layers, layout);
    const auto config = layout.put(canonical_json(bundle::to_json(manifest)), bundle::ami_artifact_type);
    const auto image = layout.put(bundle::ami_oci_manifest(manifest, config), bundle::oci_manifest_type);
    const auto signature = store_signature(manifest, image, key, layout);
    IndexEntries entries = index_entries(manifest, image, signature);
    store_attachments(attachments, manifest, image, key, layout, entries);
    layout.add_to_index(entries); // one write, which has the size of the index
    const Image row = row_of(manifest, image.digest);
    return state_->register_image(row, action::publish, publish_arguments(row),
                                  {.account = manifest.owner, .key = key});
}

} // namespace kiln::registry
