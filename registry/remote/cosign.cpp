// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/cosign.h"

#include "core/error.h"
#include "signing/attestation.h"
#include "signing/base64.h"
#include "signing/dsse.h"

#include <fmt/format.h>

#include <array>

namespace kiln::registry::remote
{
namespace
{

constexpr const char* signature_annotation = "dev.cosignproject.cosign/signature";
constexpr std::string_view sign_predicate_type = "https://sigstore.dev/cosign/sign/v1";

Json descriptor_of(std::string_view media_type, std::string_view bytes)
{
    return {{"mediaType", media_type}, {"digest", digest_of(bytes).to_string()}, {"size", bytes.size()}};
}

std::string raw(const Digest& digest)
{
    std::string bytes;
    const std::string& hex = digest.hex();
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    return bytes;
}

bool is_signed_by(const Json& layer, const std::string& payload, const signing::PublicKey& key)
{
    try {
        const auto signature = signing::parse_base64(
            string_member(member(layer, "annotations", "layer"), signature_annotation, "annotations"));
        return string_member(layer, "digest", "layer") == digest_of(payload).to_string() && signature &&
               key.verify(payload, *signature);
    } catch (const Error&) {
        return false;
    }
}

} // namespace

std::string signature_tag(const Digest& image)
{
    return fmt::format("sha256-{}.sig", image.hex());
}

std::string simple_signing_payload(const std::string& repository, const Digest& image)
{
    return canonical_json({{"critical",
                            {{"identity", {{"docker-reference", repository}}},
                             {"image", {{"docker-manifest-digest", image.to_string()}}},
                             {"type", "cosign container image signature"}}},
                           {"optional", nullptr}});
}

std::optional<Json> with_signature(Json layers, const std::string& payload, const signing::SecretKey& key)
{
    const signing::PublicKey public_key = key.public_key();
    for (const Json& layer : layers) {
        if (is_signed_by(layer, payload, public_key)) {
            return std::nullopt;
        }
    }
    Json layer = descriptor_of(simple_signing_type, payload);
    layer["annotations"] = {{signature_annotation, signing::base64(key.sign(payload))}};
    layers.push_back(std::move(layer));
    return layers;
}

std::string signature_config(const Json& layers)
{
    Json layer_digests = Json::array();
    for (const Json& layer : layers) {
        layer_digests.push_back(layer.value("digest", ""));
    }
    return canonical_json({{"architecture", ""},
                           {"config", Json::object()},
                           {"os", ""},
                           {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(layer_digests)}}}});
}

std::string signature_manifest(const Json& layers, const std::string& config)
{
    return canonical_json({{"schemaVersion", 2},
                           {"mediaType", bundle::oci_manifest_type},
                           {"config", descriptor_of(image_config_type, config)},
                           {"layers", layers}});
}

std::string sigstore_bundle(const Digest& image, const signing::SecretKey& key)
{
    const Json subject{{"digest", {{"sha256", image.hex()}}}};
    const std::string payload = canonical_json({{"_type", "https://in-toto.io/Statement/v1"},
                                                {"subject", Json::array({subject})},
                                                {"predicateType", sign_predicate_type},
                                                {"predicate", Json::object()}});
    const std::string message = signing::pre_authentication_encoding(signing::in_toto_payload_type, payload);
    // The hint is the SHA-256 of the DER SubjectPublicKeyInfo, as our key ids are.
    const Digest key_id = Digest::parse(key.public_key().key_id()).value();
    return canonical_json({{"mediaType", sigstore_bundle_type},
                           {"verificationMaterial", {{"publicKey", {{"hint", signing::base64(raw(key_id))}}}}},
                           {"dsseEnvelope",
                            {{"payload", signing::base64(payload)},
                             {"payloadType", signing::in_toto_payload_type},
                             {"signatures", Json::array({Json{{"sig", signing::base64(key.sign(message))}}})}}}});
}

Json sigstore_annotations(const std::string& at)
{
    return {{"dev.sigstore.bundle.content", "dsse-envelope"},
            {"dev.sigstore.bundle.predicateType", sign_predicate_type},
            {"org.opencontainers.image.created", at}};
}

std::string sigstore_manifest(const std::string& bundle, const bundle::Descriptor& image, const std::string& at)
{
    return canonical_json(
        {{"schemaVersion", 2},
         {"mediaType", bundle::oci_manifest_type},
         {"artifactType", sigstore_bundle_type},
         {"config", descriptor_of(bundle::oci_empty_type, bundle::oci_empty_blob)},
         {"layers", Json::array({descriptor_of(sigstore_bundle_type, bundle)})},
         {"subject",
          {{"mediaType", image.media_type}, {"digest", image.digest.to_string()}, {"size", image.size.bytes()}}},
         {"annotations", sigstore_annotations(at)}});
}

bool is_sigstore_bundle(std::string_view text, const Digest& image, const signing::PublicKey& key)
{
    try {
        const Json json = parse_json(text, "sigstore bundle");
        return signing::verify_attestation(member(json, "dsseEnvelope", "sigstore bundle").dump(), std::array{key},
                                           image, sign_predicate_type)
            .has_value();
    } catch (const Error&) {
        return false;
    }
}

} // namespace kiln::registry::remote
