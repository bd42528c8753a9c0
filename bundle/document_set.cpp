// SPDX-License-Identifier: Apache-2.0
#include "bundle/document_set.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::bundle
{
namespace
{

constexpr ByteSize largest_document = mebibytes(16);
constexpr ByteSize most_in_memory = mebibytes(128);

enum class Role { image, attached, configuration, envelope };

struct Expected {
    Descriptor descriptor;
    Role role = Role::envelope;
    std::string artifact_type; // of what is attached
};

DocumentSet::Wanted wanted_of(const Expected& expected)
{
    return {expected.descriptor, expected.role == Role::image || expected.role == Role::attached};
}

} // namespace

std::map<std::string, Descriptor> layers_of(const BundleDocuments& documents)
{
    std::map<std::string, Descriptor> layers;
    for (const Descriptor& layer : documents.oci.layers) {
        const bool is_document = std::ranges::any_of(
            documents.documents, [&](const Document& one) { return one.descriptor.digest == layer.digest; });
        if (is_document || !layers.emplace(layer.digest.hex(), layer).second) {
            throw Error(ErrorKind::untrusted, fmt::format("the layer {} is named twice", layer.digest.to_string()));
        }
    }
    return layers;
}

struct DocumentSet::State {
    explicit State(Descriptor image)
        : documents{.image = image,
                    .oci = {.config = std::move(image), .layers = {}},
                    .manifest = {},
                    .attached = {},
                    .documents = {}}
    {
    }

    void expect(const Descriptor& descriptor, Role role, const std::string& artifact_type = {});
    void take(const Expected& expected, const std::string& bytes);
    void take_image(const std::string& bytes);
    void take_attached(const Expected& expected, const std::string& bytes);

    BundleDocuments documents;
    std::map<std::string, Expected> pending; // by hex digits: named, and not yet there
    std::map<std::string, ByteSize> named;   // all that was ever named
    ByteSize in_memory;
    std::optional<Json> configuration;
};

void DocumentSet::State::expect(const Descriptor& descriptor, Role role, const std::string& artifact_type)
{
    const auto [place, added] = named.emplace(descriptor.digest.hex(), descriptor.size);
    if (!added) {
        // The empty blob, which every attached manifest names. Two manifests may not be one.
        if (place->second != descriptor.size || role != Role::envelope) {
            throw Error(ErrorKind::untrusted,
                        fmt::format("the blob {} is named twice, as different things", descriptor.digest.to_string()));
        }
        return;
    }
    if (descriptor.size > largest_document || descriptor.size > ByteSize(most_in_memory.bytes() - in_memory.bytes())) {
        throw Error(ErrorKind::untrusted, fmt::format("the document {} of {} makes the bundle's documents too large",
                                                      descriptor.digest.to_string(), to_string(descriptor.size)));
    }
    in_memory = in_memory + descriptor.size;
    pending.emplace(descriptor.digest.hex(), Expected{descriptor, role, artifact_type});
}

void DocumentSet::State::take_image(const std::string& bytes)
{
    documents.oci = parse_ami_oci_manifest(bytes);
    expect(documents.oci.config, Role::configuration);
}

void DocumentSet::State::take_attached(const Expected& expected, const std::string& bytes)
{
    const AttachedOciManifest parts = parse_attached_oci_manifest(bytes, expected.artifact_type);
    if (parts.subject.digest != documents.image.digest) {
        throw Error(ErrorKind::untrusted, fmt::format("the attached manifest {} is about another image",
                                                      expected.descriptor.digest.to_string()));
    }
    expect(parts.config, Role::envelope);
    expect(parts.envelope, Role::envelope);
}

void DocumentSet::State::take(const Expected& expected, const std::string& bytes)
{
    switch (expected.role) {
    case Role::image:
        return take_image(bytes);
    case Role::attached:
        return take_attached(expected, bytes);
    case Role::configuration:
        configuration = parse_json(bytes, "manifest");
        return;
    case Role::envelope:
        return; // whoever verifies it parses it
    }
}

DocumentSet::DocumentSet(Descriptor image, std::vector<AttachedManifest> attached)
    : state_(std::make_unique<State>(std::move(image)))
{
    state_->documents.attached = std::move(attached);
    state_->expect(state_->documents.image, Role::image);
    for (const AttachedManifest& one : state_->documents.attached) {
        state_->expect(one.manifest, Role::attached, one.artifact_type);
    }
}

DocumentSet::~DocumentSet() = default;

std::optional<DocumentSet::Wanted> DocumentSet::next() const
{
    return state_->pending.empty() ? std::nullopt : std::optional(wanted_of(state_->pending.begin()->second));
}

std::optional<DocumentSet::Wanted> DocumentSet::find(const Digest& digest) const
{
    const auto found = state_->pending.find(digest.hex());
    return found == state_->pending.end() ? std::nullopt : std::optional(wanted_of(found->second));
}

bool DocumentSet::is_layer(const Digest& digest) const
{
    const auto& layers = state_->documents.oci.layers;
    return std::ranges::find(layers, digest, &Descriptor::digest) != layers.end();
}

void DocumentSet::take(const Digest& digest, std::string bytes)
{
    const auto found = state_->pending.find(digest.hex());
    if (found == state_->pending.end()) {
        throw Error(ErrorKind::internal, fmt::format("nobody named the document {}", digest.to_string()));
    }
    const Expected expected = found->second;
    if (ByteSize(bytes.size()) != expected.descriptor.size || digest_of(bytes) != digest) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("what came for {} has another size or digest", digest.to_string()));
    }
    state_->pending.erase(found);
    try {
        state_->take(expected, bytes);
    } catch (const Error& error) {
        throw Error(ErrorKind::untrusted, error.message(), error.hint());
    }
    state_->documents.documents.push_back({expected.descriptor, std::move(bytes)});
}

BundleDocuments DocumentSet::finish()
{
    state_->documents.manifest = manifest_from_json(state_->configuration.value());
    state_->configuration.reset();
    return std::move(state_->documents);
}

} // namespace kiln::bundle
