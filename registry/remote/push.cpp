// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/push.h"

#include "core/file_descriptor.h"
#include "core/timestamp.h"
#include "registry/launch_statement.h"
#include "registry/remote/cosign.h"
#include "registry/remote/failure.h"
#include "registry/remote/parallel.h"
#include "registry/remote/referrers.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace kiln::registry::remote
{
namespace
{

bundle::Descriptor descriptor_of(std::string_view media_type, std::string_view bytes)
{
    return {std::string(media_type), digest_of(bytes), ByteSize(bytes.size())};
}

// A file as what a request sends.
HttpBody body_of_file(const std::filesystem::path& file, std::uint64_t size, std::atomic<std::uint64_t>& sent)
{
    const auto fd = std::make_shared<FileDescriptor>(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!*fd) {
        throw system_error(errno, fmt::format("opening {}", file.native()));
    }
    return {.size = size, .read = [fd, file, &sent](char* buffer, std::size_t length) {
                const ssize_t got = ::read(fd->get(), buffer, length);
                if (got < 0) {
                    throw system_error(errno, fmt::format("reading {}", file.native()));
                }
                sent += static_cast<std::uint64_t>(got);
                return static_cast<std::size_t>(got);
            }};
}

// What a hostile manifest of a sigstore bundle names.
std::optional<bundle::Descriptor> only_layer(const std::string& manifest)
{
    try {
        const Json layer = member(parse_json(manifest, "manifest"), "layers", "manifest").at(0);
        auto digest = Digest::parse(string_member(layer, "digest", "layer"));
        const std::int64_t size = integer_member(layer, "size", "layer");
        if (digest && size >= 1) {
            return bundle::Descriptor{std::string(sigstore_bundle_type), *std::move(digest),
                                      ByteSize(static_cast<std::uint64_t>(size))};
        }
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): of another tool, and nothing of ours
    }
    return std::nullopt;
}

class Push
{
public:
    Push(const Region& region, const VerifiedImage& image, const RemoteReference& reference,
         const RemoteOptions& options, const Signer& signer, const Transfer& transfer,
         const std::vector<TypedArtifact>& artifacts)
        : region_(region), image_(image.image()), repository_(reference, Access::push, options), signer_(signer),
          transfer_(transfer), client_(repository_, transfer.stop),
          contents_(bundle::contents_of(region.layout(), image_.manifest)), artifacts_(artifacts)
    {
        pushed_.reference = reference;
    }

    Pushed run()
    {
        choose_tag();
        send_blobs();
        const std::string manifest = region_.layout().read_verified(image_.manifest);
        static_cast<void>(client_.put_manifest(image_.manifest.to_string(), manifest, bundle::oci_manifest_type));
        attach_documents();
        attach_artifacts();
        attach_launch_statement();
        attach_signatures();
        store_referrers();
        static_cast<void>(client_.put_manifest(*pushed_.reference.tag, manifest, bundle::oci_manifest_type));
        return std::move(pushed_);
    }

private:
    void choose_tag();
    void send_blobs();
    [[nodiscard]] std::vector<bundle::Descriptor> blobs() const;
    void send_text(const std::string& bytes, std::string_view media_type);
    void attach(std::string_view artifact_type, const std::string& manifest, Json annotations = Json::object());
    void attach_documents();
    void attach_artifacts();
    void attach_launch_statement();
    void attach_signatures();
    void sign_by_tag();
    void sign_by_bundle();
    void store_referrers();

    const Region& region_;
    const Image& image_;
    Repository repository_;
    const Signer& signer_;
    const Transfer& transfer_;
    RemoteClient client_;
    bundle::BundleContents contents_;
    const std::vector<TypedArtifact>& artifacts_;
    Pushed pushed_;
    Referrers referrers_;
    bool referrers_changed_ = false;
};

void Push::choose_tag()
{
    const RemoteReference& given = repository_.reference();
    if (given.digest) {
        throw Error(ErrorKind::usage, "an image is not pushed to a digest: it has one of its own",
                    fmt::format("leave it out, or name a tag: oci://{}:TAG", given.name()));
    }
    if (!given.tag) {
        pushed_.reference.tag = reference_name(image_);
        if (!is_tag(*pushed_.reference.tag)) {
            throw Error(
                ErrorKind::usage,
                fmt::format("{} is too long for a tag, which has at most 128 characters", *pushed_.reference.tag),
                fmt::format("name one: oci://{}:TAG", given.name()));
        }
        const auto taken = client_.find_manifest(*pushed_.reference.tag);
        if (taken && digest_of(*taken) != image_.manifest) {
            throw remote_error(given, ErrorKind::conflict,
                               fmt::format("another image has the tag {} there", *pushed_.reference.tag),
                               "raise the version, or name a tag yourself, which then moves");
        }
    }
    referrers_ = read_referrers(client_, given, image_.manifest);
}

// Layers, and what the manifests name; manifests go another way.
std::vector<bundle::Descriptor> Push::blobs() const
{
    std::vector<bundle::Descriptor> found = contents_.layers;
    for (const bundle::Descriptor& document : contents_.documents) {
        if (document.media_type != bundle::oci_manifest_type) {
            found.push_back(document);
        }
    }
    for (const TypedArtifact& one : artifacts_) {
        found.insert(found.end(), one.artifact.files.begin(), one.artifact.files.end());
    }
    return found;
}

void Push::send_blobs()
{
    const std::vector<bundle::Descriptor> all = blobs();
    ByteSize total;
    for (const bundle::Descriptor& blob : all) {
        total = total + blob.size;
    }
    std::atomic<std::uint64_t> moving = 0; // also of tries that failed
    std::atomic<std::uint64_t> sent = 0;
    std::atomic<std::uint64_t> present = 0;
    in_parallel(
        all.size(), repository_.options().connections, transfer_.stop,
        [&](const std::stop_token& stop) -> Work {
            auto client = std::make_shared<RemoteClient>(repository_, stop);
            return [&, client](std::size_t index) {
                const bundle::Descriptor& blob = all.at(index);
                if (client->has_blob(blob)) {
                    present += blob.size.bytes();
                    return;
                }
                client->put_blob(blob, [&] {
                    return body_of_file(region_.layout().blob_path(blob.digest), blob.size.bytes(), moving);
                });
                sent += blob.size.bytes();
            };
        },
        [&] { transfer_.transferred(std::min(ByteSize(moving + present), total), total); });
    pushed_.sent = ByteSize(sent);
    pushed_.present = ByteSize(present);
}

void Push::send_text(const std::string& bytes, std::string_view media_type)
{
    const bundle::Descriptor blob = descriptor_of(media_type, bytes);
    if (!client_.has_blob(blob)) {
        client_.put_blob(blob, [&] { return body_of(bytes); });
    }
}

void Push::attach(std::string_view artifact_type, const std::string& manifest, Json annotations)
{
    const bundle::Descriptor sent = descriptor_of(bundle::oci_manifest_type, manifest);
    const std::string digest = sent.digest.to_string();
    const bool listed = std::ranges::any_of(referrers_.entries, [&](const Json& entry) {
        return entry.is_object() && entry.contains("digest") && entry["digest"] == digest;
    });
    if (listed) {
        return;
    }
    if (client_.put_manifest(digest, manifest, bundle::oci_manifest_type)) {
        return; // the registry lists it by itself
    }
    referrers_.entries.push_back({{"mediaType", bundle::oci_manifest_type},
                                  {"digest", digest},
                                  {"size", manifest.size()},
                                  {"artifactType", artifact_type},
                                  {"annotations", std::move(annotations)}});
    referrers_changed_ = true;
}

void Push::attach_documents()
{
    for (const bundle::AttachedManifest& one : contents_.attached) {
        attach(one.artifact_type, region_.layout().read_verified(one.manifest.digest));
    }
}

void Push::attach_artifacts()
{
    for (const TypedArtifact& one : artifacts_) {
        send_text(std::string(bundle::oci_empty_blob), bundle::oci_empty_type);
        send_text(one.artifact.envelope, bundle::dsse_type);
        attach(one.type, region_.layout().read_verified(one.artifact.manifest));
    }
}

// The owner's newest word, unless it is there already.
void Push::attach_launch_statement()
{
    if (signer_.account != image_.owner || image_.holder != image_.owner) {
        return;
    }
    const std::vector keys{signer_.key.public_key()};
    const std::vector<std::string> envelopes = read_launch_statements(client_, referrers_.manifests());
    const auto newest = newest_launch_statement(envelopes, image_.manifest, keys);
    if (newest && newest->is_public == image_.launch_public && newest->accounts == image_.launch_accounts) {
        return;
    }
    if (referrers_.by_tag) { // older ones are of no use any more
        Json rest = Json::array();
        for (const Json& entry : referrers_.entries) {
            if (!entry.is_object() || entry.value("artifactType", "") != launch_artifact_type) {
                rest.push_back(entry);
            }
        }
        referrers_.entries = std::move(rest);
    }
    const std::string envelope = sign_launch_statement(image_, iso_now(), signer_.key);
    send_text(std::string(bundle::oci_empty_blob), bundle::oci_empty_type);
    send_text(envelope, bundle::dsse_type);
    attach(launch_artifact_type,
           bundle::attached_oci_manifest(launch_artifact_type, descriptor_of(bundle::dsse_type, envelope),
                                         contents_.image));
}

void Push::attach_signatures()
{
    if (signer_.account != image_.owner) {
        pushed_.without_cosign = fmt::format("it is not account {}'s own image", signer_.account);
        return;
    }
    if (signer_.key.public_key().type() != signing::KeyType::ecdsa_p256) {
        pushed_.without_cosign = "they take ECDSA P-256 keys, and the account's is another (`kiln key rotate --type "
                                 "ecdsa-p256` makes one)";
        return;
    }
    sign_by_tag();
    sign_by_bundle();
    pushed_.for_cosign = true;
}

void Push::sign_by_tag()
{
    const std::string tag = signature_tag(image_.manifest);
    const std::string payload = simple_signing_payload(repository_.reference().name(), image_.manifest);
    Json layers = Json::array();
    if (const auto there = client_.find_manifest(tag)) {
        try {
            layers = member(parse_json(*there, tag), "layers", tag);
        } catch (const Error&) { // NOLINT(bugprone-empty-catch): said below
        }
        if (!layers.is_array()) {
            throw remote_error(repository_.reference(), ErrorKind::conflict,
                               fmt::format("the tag {} names what is no manifest of signatures", tag),
                               "its operator can remove that tag");
        }
    }
    const auto more = with_signature(std::move(layers), payload, signer_.key);
    if (!more) {
        return;
    }
    const std::string config = signature_config(*more);
    send_text(payload, simple_signing_type);
    send_text(config, image_config_type);
    static_cast<void>(client_.put_manifest(tag, signature_manifest(*more, config), bundle::oci_manifest_type));
}

void Push::sign_by_bundle()
{
    const signing::PublicKey key = signer_.key.public_key();
    for (const bundle::AttachedManifest& one : referrers_.manifests()) {
        if (one.artifact_type != sigstore_bundle_type) {
            continue;
        }
        const auto manifest = client_.find_manifest(one.manifest.digest);
        const auto blob = manifest ? only_layer(*manifest) : std::nullopt;
        if (blob && is_sigstore_bundle(client_.read_blob(*blob), image_.manifest, key)) {
            return;
        }
    }
    const std::string at = iso_now();
    const std::string bundle = sigstore_bundle(image_.manifest, signer_.key);
    send_text(std::string(bundle::oci_empty_blob), bundle::oci_empty_type);
    send_text(bundle, sigstore_bundle_type);
    attach(sigstore_bundle_type, sigstore_manifest(bundle, contents_.image, at), sigstore_annotations(at));
}

void Push::store_referrers()
{
    pushed_.by_tag = referrers_.by_tag;
    if (referrers_changed_) {
        static_cast<void>(client_.put_manifest(fallback_tag(image_.manifest), referrers_index(referrers_.entries),
                                               bundle::oci_index_type));
    }
}

} // namespace

Pushed push_image(const Region& region, const VerifiedImage& image, const RemoteReference& reference,
                  const RemoteOptions& options, const Signer& signer, const Transfer& transfer,
                  const std::vector<TypedArtifact>& artifacts)
{
    return Push(region, image, reference, options, signer, transfer, artifacts).run();
}

} // namespace kiln::registry::remote
