// SPDX-License-Identifier: Apache-2.0
// Internal: the instance identity document, signed with the key of the account that launched it. It is signed when the
// instance starts, as whoever serves it later has no secret key: instances/i-.../identity.json.
#pragma once

#include "launcher/instance.h"
#include "signing/keys.h"

#include <filesystem>
#include <optional>
#include <string>

namespace kiln::launcher
{

struct SignedIdentity {
    std::string document;
    std::string signature; // base64 of SecretKey::sign() of the document
};

// Signs what the document is now and keeps it in `folder`, durably. Without a key there is no signature from now on.
void write_identity(const std::filesystem::path& folder, const Instance& instance,
                    const std::optional<signing::SecretKey>& key);
// nullopt where there is none, or where it is about what the instance was before. Throws Error{io}.
[[nodiscard]] std::optional<SignedIdentity> load_identity(const std::filesystem::path& folder,
                                                          const Instance& instance);

} // namespace kiln::launcher
