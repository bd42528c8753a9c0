// SPDX-License-Identifier: Apache-2.0
// Who may launch an image, as its owner says it where the image is pushed to: a region's events stay in the region, and
// the manifest only knows what was so when it was published. Private to registry/.
#pragma once

#include "core/digest.h"
#include "registry/region.h"
#include "signing/keys.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

inline constexpr std::string_view launch_artifact_type = "application/vnd.kiln.launch-permission.v1+json";

struct LaunchStatement {
    bool is_public = false;
    std::vector<std::string> accounts{}; // sorted
    std::string at{};                    // ISO 8601, by the signer's clock
    std::int64_t event = 0; // the image's newest in the signer's region; orders what was said in one second
};

// What `image` says of itself, as a DSSE envelope. The key is one of the image's owner.
[[nodiscard]] std::string sign_launch_statement(const Image& image, const std::string& at,
                                                const signing::SecretKey& key);

// The newest of the hostile envelopes that a key of `keys` signed about the image.
// Others are as good as none: whoever may write where they come from can add some.
[[nodiscard]] std::optional<LaunchStatement> newest_launch_statement(std::span<const std::string> envelopes,
                                                                     const Digest& image,
                                                                     std::span<const signing::PublicKey> keys);

} // namespace kiln::registry
