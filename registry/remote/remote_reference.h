// SPDX-License-Identifier: Apache-2.0
// Where an image is in a remote registry: oci://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST], by the grammar of the OCI
// distribution specification 1.1.
#pragma once

#include "core/digest.h"

#include <optional>
#include <string>
#include <string_view>

namespace kiln::registry::remote
{

struct RemoteReference {
    std::string host; // with the port, where one was given
    std::string repository;
    std::optional<std::string> tag{};
    std::optional<Digest> digest{};

    // "HOST/REPOSITORY", as cosign and skopeo call it.
    [[nodiscard]] std::string name() const { return host + "/" + repository; }
    [[nodiscard]] std::string to_string() const;
};

// Throws Error{usage}; a message never repeats a name or password that somebody put into it.
[[nodiscard]] RemoteReference parse_remote_reference(std::string_view text);

// 1 to 128 of `A-Z a-z 0-9 _ . -`, beginning with none of the last two.
[[nodiscard]] bool is_tag(std::string_view text);

} // namespace kiln::registry::remote
