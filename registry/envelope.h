// SPDX-License-Identifier: Apache-2.0
// DSSE envelopes in a region: attached to the manifest that they are about, and read back. Private to registry/.
#pragma once

#include "bundle/oci.h"
#include "signing/keys.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

// Stores the envelope and the manifest that attaches it to `subject`, with `files` that are stored; returns the latter.
bundle::Descriptor store_envelope(const std::string& envelope, std::string_view artifact_type,
                                  const bundle::Descriptor& subject, const bundle::Layout& layout,
                                  const std::vector<bundle::Descriptor>& files = {});

// The predicate of the first attestation about the manifest `subject` that one of the keys signed. What is wrong with
// others is added to `faults`: none, and there is no attestation.
[[nodiscard]] std::optional<Json> find_predicate(const bundle::Layout& layout, const Digest& subject,
                                                 std::string_view artifact_type, std::string_view predicate_type,
                                                 std::span<const signing::PublicKey> keys,
                                                 std::vector<std::string>& faults);

} // namespace kiln::registry
