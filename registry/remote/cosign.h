// SPDX-License-Identifier: Apache-2.0
// Signatures of an image for other tools, by an ECDSA P-256 key: as cosign up to 2 writes them and skopeo reads them
// (a tag sha256-HEX.sig), and as cosign 3 does (a sigstore bundle 0.3 as a referrer). Kiln itself reads neither: they
// bind no name and no version.
#pragma once

#include "bundle/oci.h"
#include "core/json.h"
#include "signing/keys.h"

#include <optional>
#include <string>
#include <string_view>

namespace kiln::registry::remote
{

inline constexpr std::string_view simple_signing_type = "application/vnd.dev.cosign.simplesigning.v1+json";
inline constexpr std::string_view image_config_type = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view sigstore_bundle_type = "application/vnd.dev.sigstore.bundle.v0.3+json";

[[nodiscard]] std::string signature_tag(const Digest& image); // "sha256-HEX.sig"

// What the first form signs: `repository` is "HOST/REPOSITORY". The same each time.
[[nodiscard]] std::string simple_signing_payload(const std::string& repository, const Digest& image);
// The layers of the manifest under that tag with one by the key added to `layers`, those that are there; nullopt when
// there is one by it already.
[[nodiscard]] std::optional<Json> with_signature(Json layers, const std::string& payload,
                                                 const signing::SecretKey& key);
// The configuration of such a manifest, and the manifest over it.
[[nodiscard]] std::string signature_config(const Json& layers);
[[nodiscard]] std::string signature_manifest(const Json& layers, const std::string& config);

// The second form: the bundle, and the manifest that attaches it. `at`: ISO 8601, for people.
[[nodiscard]] std::string sigstore_bundle(const Digest& image, const signing::SecretKey& key);
[[nodiscard]] Json sigstore_annotations(const std::string& at);
[[nodiscard]] std::string sigstore_manifest(const std::string& bundle, const bundle::Descriptor& image,
                                            const std::string& at);
// Whether a hostile text is such a bundle about the image by the key.
[[nodiscard]] bool is_sigstore_bundle(std::string_view text, const Digest& image, const signing::PublicKey& key);

} // namespace kiln::registry::remote
