// SPDX-License-Identifier: Apache-2.0
// What a remote registry's failures become: one sentence with the host and the repository, and what to do. Of what the
// server says only error codes that the specification has are repeated: it has seen our credentials.
#pragma once

#include "core/error.h"
#include "core/http_client.h"
#include "registry/remote/remote_reference.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::registry::remote
{

[[nodiscard]] Error remote_error(const RemoteReference& reference, ErrorKind kind, std::string_view what,
                                 std::string hint = {});

// A failure that may be gone at the next try; always of the kind {network}.
class PassingError : public Error
{
public:
    PassingError(const Error& error, std::optional<std::chrono::seconds> retry_after)
        : Error(error), retry_after_(retry_after)
    {
    }
    // What the server asked for.
    [[nodiscard]] std::optional<std::chrono::seconds> retry_after() const noexcept { return retry_after_; }

private:
    std::optional<std::chrono::seconds> retry_after_;
};

// These throw, as what they throw is of more than one type. `who`: "it", or "the token server at HOST".
// No whole answer came.
[[noreturn]] void throw_transport_failure(const RemoteReference& reference, const HttpAnswer& answer,
                                          std::string_view who);
// An answer with another status than was expected; `body` is its beginning.
[[noreturn]] void throw_status_failure(const RemoteReference& reference, const HttpHead& head, std::string_view body,
                                       std::string_view who);
// An answer that no registry gives.
[[nodiscard]] Error not_a_registry(const RemoteReference& reference, std::string_view what);

} // namespace kiln::registry::remote
