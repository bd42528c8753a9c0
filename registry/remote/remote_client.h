// SPDX-License-Identifier: Apache-2.0
// One repository of a remote registry, by the OCI distribution specification 1.1. Requests log in where they are asked
// to, follow redirects of blobs, and are tried again with growing pauses when the failure may pass. What comes is
// hostile: sizes are bounded here, digests are checked by RemoteClient for manifests and documents, by the caller for
// layers.
#pragma once

#include "bundle/oci.h"
#include "registry/remote/authorization.h"
#include "registry/remote/remote_options.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace kiln::registry::remote
{

// A repository and how to get at it; what the clients of several threads share. The options outlive it.
class Repository
{
public:
    // Throws Error{untrusted} for plain http that was not allowed, Error{io, permission_denied} of credentials.
    Repository(RemoteReference reference, Access access, const RemoteOptions& options);

    [[nodiscard]] const RemoteReference& reference() const noexcept { return reference_; }
    [[nodiscard]] const RemoteOptions& options() const noexcept { return options_; }
    [[nodiscard]] const Url& root() const noexcept { return root_; } // .../v2/REPOSITORY/
    [[nodiscard]] Authorization& authorization() noexcept { return authorization_; }

private:
    RemoteReference reference_;
    const RemoteOptions& options_;
    Url root_;
    Authorization authorization_;
};

// One thread. Everything throws the errors of failure.h, and Error{interrupted}.
class RemoteClient
{
public:
    RemoteClient(Repository& repository, std::stop_token stop);
    ~RemoteClient();
    RemoteClient(const RemoteClient&) = delete;
    RemoteClient& operator=(const RemoteClient&) = delete;

    // The manifest with that tag or digest; nullopt when there is none. A digest is checked.
    [[nodiscard]] std::optional<std::string> find_manifest(const std::string& tag);
    [[nodiscard]] std::optional<std::string> find_manifest(const Digest& digest);
    // The blob as a whole; of the given size and digest. Throws Error{untrusted} for another one, Error{not_found}.
    [[nodiscard]] std::string read_blob(const bundle::Descriptor& blob);
    [[nodiscard]] bool has_blob(const bundle::Descriptor& blob);
    // The referrers API's answer; nullopt when the registry has none.
    [[nodiscard]] std::optional<std::string> find_referrers(const Digest& subject);

    // One try to read a blob from `offset` on. `take` gets where a piece belongs: behind what is there, or from 0 on
    // when the server sends all of it again; false ends it. Throws PassingError for what may be tried again.
    using TakePiece = std::function<bool(std::uint64_t offset, std::string_view piece)>;
    void read_from(const bundle::Descriptor& blob, std::uint64_t offset, const TakePiece& take);

    // Uploads it, with new bytes from `open` at each try.
    using OpenBody = std::function<HttpBody()>;
    void put_blob(const bundle::Descriptor& blob, const OpenBody& open);
    // Under a tag or as its digest. Returns whether the registry says that it keeps referrers by itself.
    bool put_manifest(const std::string& tag_or_digest, const std::string& bytes, std::string_view media_type);

private:
    struct Ask;
    struct Told;
    [[nodiscard]] Told ask(const Ask& asked);
    [[nodiscard]] Told ask_once(const Ask& asked);
    [[nodiscard]] std::optional<std::string> find_text(const std::string& path, std::string_view accept,
                                                       ByteSize largest);
    [[nodiscard]] HttpRequest request_of(const Ask& asked, const Url& url) const;

    Repository& repository_;
    std::stop_token stop_;
    HttpClient http_;
};

// Runs `action` until it ends without a PassingError: as often as the limits say, with pauses that grow. `moved` says
// whether the last try got somewhere, which makes the next one the first again.
void with_retries(
    const RemoteOptions& options, const std::stop_token& stop, const std::function<void()>& action,
    const std::function<bool()>& moved = [] { return false; });

} // namespace kiln::registry::remote
