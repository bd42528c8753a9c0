// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/remote_client.h"

#include "core/interrupt.h"
#include "registry/remote/failure.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>

namespace kiln::registry::remote
{
namespace
{

constexpr ByteSize largest_manifest = mebibytes(16);
constexpr ByteSize largest_document = mebibytes(16);
constexpr std::size_t most_of_an_error = std::size_t{16} << 10U;
constexpr int most_redirects = 5;
constexpr int most_logins = 2; // for one request

Url root_of(const RemoteReference& reference, const RemoteOptions& options)
{
    const auto plain = parse_url(fmt::format("http://{}/v2/{}/", reference.host, reference.repository));
    auto url = parse_url(fmt::format("https://{}/v2/{}/", reference.host, reference.repository));
    if (!plain || !url) {
        throw remote_error(reference, ErrorKind::usage, "its address can't be read");
    }
    // A registry on this machine speaks plain http, unless a certificate is given for it.
    const bool is_plain = options.plain_http || (is_loopback(plain->host) && options.ca_file.empty());
    return is_plain ? *plain : *std::move(url);
}

bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_success(long status)
{
    return status >= 200 && status < 300;
}

// Where a Location header leads. The way does not get less private on it.
Url next_url(const Repository& repository, const Url& from, const HttpHead& head)
{
    const auto location = head.header("location");
    auto url = location ? resolve_url(from, *location) : std::nullopt;
    if (!url) {
        throw not_a_registry(repository.reference(), "it leads on without a URL that can be followed");
    }
    if (url->scheme != from.scheme) {
        throw remote_error(
            repository.reference(), ErrorKind::untrusted,
            fmt::format("it leads on from {} to {} at {}, which is not followed", from.scheme, url->scheme, url->host),
            "its operator can correct the address that it gives of itself or its storage");
    }
    require_private_way(*url, repository.reference(), repository.options());
    return *std::move(url);
}

// "bytes 100-299/300" -> 100
std::optional<std::uint64_t> start_of_range(const HttpHead& head)
{
    const std::string text = head.header("content-range").value_or("");
    constexpr std::string_view unit = "bytes ";
    std::uint64_t start = 0;
    if (!text.starts_with(unit)) {
        return std::nullopt;
    }
    const auto [end, failure] = std::from_chars(text.data() + unit.size(), text.data() + text.size(), start);
    return failure == std::errc() && *end == '-' ? std::optional(start) : std::nullopt;
}

void wait(std::chrono::milliseconds time, const std::stop_token& stop)
{
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, time, [] { return false; });
    throw_if_interrupted(stop);
}

} // namespace

void with_retries(const RemoteOptions& options, const std::stop_token& stop, const std::function<void()>& action,
                  const std::function<bool()>& moved)
{
    const RemoteLimits& limits = options.limits;
    std::chrono::milliseconds pause = limits.first_pause;
    for (int attempt = 1;; ++attempt) {
        try {
            return action();
        } catch (const PassingError& error) {
            if (moved()) {
                attempt = 0;
                pause = limits.first_pause;
            } else if (attempt >= limits.attempts) {
                throw Error(error.kind(), fmt::format("{}, also at try {}", error.message(), attempt), error.hint());
            }
            const std::chrono::milliseconds asked = error.retry_after().value_or(std::chrono::seconds(0));
            const auto now = std::min(std::max(pause, asked), limits.longest_pause);
            if (options.note) {
                options.note(fmt::format("{}; the next try is in {} ms", error.message(), now.count()));
            }
            wait(now, stop);
            pause = std::min(pause * 2, limits.longest_pause);
        }
    }
}

Repository::Repository(RemoteReference reference, Access access, const RemoteOptions& options)
    : reference_(std::move(reference)), options_(options), root_(root_of(reference_, options)),
      authorization_(reference_, root_, access, options)
{
}

struct RemoteClient::Ask {
    std::string method = "GET";
    Url url;
    std::vector<std::string> headers{};
    OpenBody body{};
    bool is_blob = false;          // limited by its rate, else by a time
    std::function<void()> begin{}; // before each try
    // Of a success only.
    std::function<bool(const HttpHead& head, std::string_view piece)> take{};
};

struct RemoteClient::Told {
    HttpHead head;
    Url url;             // that answered
    std::string error{}; // the beginning of the body of what is no success
    bool cut = false;    // `take` said no
};

RemoteClient::RemoteClient(Repository& repository, std::stop_token stop)
    : repository_(repository), stop_(std::move(stop))
{
}

RemoteClient::~RemoteClient() = default;

HttpRequest RemoteClient::request_of(const Ask& asked, const Url& url) const
{
    const RemoteOptions& options = repository_.options();
    HttpRequest request{.method = asked.method,
                        .url = url.text,
                        .headers = asked.headers,
                        .ca_file = options.ca_file,
                        .proxies = !is_loopback(url.host),
                        .connect_limit = options.limits.connect,
                        .stop = stop_};
    if (asked.body) {
        request.body = asked.body();
    }
    if (asked.is_blob) {
        // One that sends waits for the server to store what it got.
        request.slowest = asked.body ? 1 : static_cast<long>(options.limits.slowest.bytes());
        request.slow_limit = asked.body ? options.limits.silent_for : options.limits.slow_for;
    } else {
        request.limit = options.limits.document;
    }
    return request;
}

// One request with its logins and redirects.
RemoteClient::Told RemoteClient::ask_once(const Ask& asked)
{
    Url url = asked.url;
    int redirects = 0;
    for (int logins = 0;;) {
        std::string error;
        HttpRequest request = request_of(asked, url);
        const bool at_registry = url.origin() == repository_.root().origin();
        const auto header = at_registry ? repository_.authorization().header() : std::nullopt;
        if (header) {
            request.headers.push_back("Authorization: " + *header);
        }
        request.take = [&](const HttpHead& head, std::string_view piece) {
            if (is_success(head.status)) {
                return !asked.take || asked.take(head, piece);
            }
            error.append(piece.substr(0, most_of_an_error - error.size()));
            return error.size() < most_of_an_error;
        };
        HttpAnswer answer = http_.perform(request);
        const bool cut = answer.failure == HttpFailure::not_taken;
        if (answer.failure != HttpFailure::none && !cut) {
            throw_transport_failure(repository_.reference(), answer, "it");
        }
        if (answer.head.status == 401 && at_registry && logins < most_logins) {
            ++logins;
            repository_.authorization().answer(answer.head.header("www-authenticate"), header, http_, stop_);
            continue;
        }
        if (is_redirect(answer.head.status) && (asked.method == "GET" || asked.method == "HEAD")) {
            if (++redirects > most_redirects) {
                throw not_a_registry(repository_.reference(), "it leads on and on");
            }
            url = next_url(repository_, url, answer.head);
            continue;
        }
        return {.head = std::move(answer.head), .url = std::move(url), .error = std::move(error), .cut = cut};
    }
}

// Tries again what may pass.
RemoteClient::Told RemoteClient::ask(const Ask& asked)
{
    Told told{.head = {}, .url = asked.url};
    with_retries(repository_.options(), stop_, [&] {
        if (asked.begin) {
            asked.begin();
        }
        told = ask_once(asked);
        if (told.head.status == 429 || told.head.status >= 500) {
            throw_status_failure(repository_.reference(), told.head, told.error, "it");
        }
    });
    return told;
}

std::optional<std::string> RemoteClient::find_text(const std::string& path, std::string_view accept, ByteSize largest)
{
    std::string bytes;
    const Told told = ask({.url = resolve_url(repository_.root(), path).value(),
                           .headers = {fmt::format("Accept: {}", accept)},
                           .begin = [&] { bytes.clear(); },
                           .take =
                               [&](const HttpHead&, std::string_view piece) {
                                   bytes += piece;
                                   return bytes.size() <= largest.bytes();
                               }});
    if (told.head.status == 404) {
        return std::nullopt;
    }
    if (told.head.status != 200) {
        throw_status_failure(repository_.reference(), told.head, told.error, "it");
    }
    if (told.cut) {
        throw remote_error(repository_.reference(), ErrorKind::untrusted,
                           fmt::format("it sends more than {} for {}", kiln::to_string(largest), path));
    }
    return bytes;
}

std::optional<std::string> RemoteClient::find_manifest(const std::string& tag)
{
    return find_text("manifests/" + tag, fmt::format("{}, {}", bundle::oci_manifest_type, bundle::oci_index_type),
                     largest_manifest);
}

std::optional<std::string> RemoteClient::find_manifest(const Digest& digest)
{
    auto bytes = find_manifest(digest.to_string());
    if (bytes && digest_of(*bytes) != digest) {
        throw remote_error(repository_.reference(), ErrorKind::untrusted,
                           fmt::format("what it sends as the manifest {} is another one", digest.to_string()),
                           "push the image again");
    }
    return bytes;
}

std::optional<std::string> RemoteClient::find_referrers(const Digest& subject)
{
    return find_text("referrers/" + subject.to_string(), bundle::oci_index_type, largest_manifest);
}

std::string RemoteClient::read_blob(const bundle::Descriptor& blob)
{
    if (blob.size > largest_document) {
        throw remote_error(repository_.reference(), ErrorKind::untrusted,
                           fmt::format("the document {} is larger than {}", blob.digest.to_string(),
                                       kiln::to_string(largest_document)));
    }
    auto bytes = find_text("blobs/" + blob.digest.to_string(), "*/*", blob.size);
    if (!bytes) {
        throw remote_error(repository_.reference(), ErrorKind::not_found,
                           fmt::format("it has no blob {}", blob.digest.to_string()), "push the image again");
    }
    if (ByteSize(bytes->size()) != blob.size || digest_of(*bytes) != blob.digest) {
        throw remote_error(repository_.reference(), ErrorKind::untrusted,
                           fmt::format("what it sends as the blob {} is something else", blob.digest.to_string()),
                           "push the image again");
    }
    return *std::move(bytes);
}

bool RemoteClient::has_blob(const bundle::Descriptor& blob)
{
    const Told told =
        ask({.method = "HEAD", .url = resolve_url(repository_.root(), "blobs/" + blob.digest.to_string()).value()});
    if (told.head.status != 200 && told.head.status != 404) {
        throw_status_failure(repository_.reference(), told.head, {}, "it");
    }
    return told.head.status == 200;
}

void RemoteClient::read_from(const bundle::Descriptor& blob, std::uint64_t offset, const TakePiece& take)
{
    std::uint64_t place = offset;
    bool begun = false;
    bool wrong_place = false;
    Ask asked{.url = resolve_url(repository_.root(), "blobs/" + blob.digest.to_string()).value(),
              .headers = {"Accept: */*"},
              .is_blob = true,
              .take = [&](const HttpHead& head, std::string_view piece) {
                  if (!begun) {
                      begun = true;
                      place = head.status == 206 ? start_of_range(head).value_or(offset) : 0;
                      wrong_place = place != offset && place != 0;
                  }
                  const bool go_on = !wrong_place && take(place, piece);
                  place += piece.size();
                  return go_on;
              }};
    if (offset > 0) {
        asked.headers.push_back(fmt::format("Range: bytes={}-", offset));
    }
    const Told told = ask_once(asked);
    if (wrong_place) {
        throw not_a_registry(repository_.reference(), "it sends another part of a blob than it was asked for");
    }
    if (told.head.status == 416) { // there is no such part: all of it, then
        take(0, {});
        throw PassingError(remote_error(repository_.reference(), ErrorKind::network, "it has no such part of a blob"),
                           std::nullopt);
    }
    if (!is_success(told.head.status)) {
        throw_status_failure(repository_.reference(), told.head, told.error,
                             fmt::format("asked for the blob {}, it", blob.digest.to_string()));
    }
}

void RemoteClient::put_blob(const bundle::Descriptor& blob, const OpenBody& open)
{
    with_retries(repository_.options(), stop_, [&] {
        const Told begun =
            ask_once({.method = "POST", .url = resolve_url(repository_.root(), "blobs/uploads/").value()});
        if (begun.head.status != 202) {
            throw_status_failure(repository_.reference(), begun.head, begun.error, "asked to take a blob, it");
        }
        Url place = next_url(repository_, begun.url, begun.head);
        const char separator = place.text.find('?') == std::string::npos ? '?' : '&';
        auto whole =
            parse_url(fmt::format("{}{}digest={}", place.text, separator, url_escaped(blob.digest.to_string())));
        if (!whole) {
            throw not_a_registry(repository_.reference(), "it gives no URL to upload to");
        }
        const Told told = ask_once({.method = "PUT",
                                    .url = *std::move(whole),
                                    .headers = {"Content-Type: application/octet-stream"},
                                    .body = open,
                                    .is_blob = true});
        if (told.head.status != 201) {
            throw_status_failure(repository_.reference(), told.head, told.error,
                                 fmt::format("given the blob {}, it", blob.digest.to_string()));
        }
    });
}

bool RemoteClient::put_manifest(const std::string& tag_or_digest, const std::string& bytes, std::string_view media_type)
{
    const Told told = ask({.method = "PUT",
                           .url = resolve_url(repository_.root(), "manifests/" + tag_or_digest).value(),
                           .headers = {fmt::format("Content-Type: {}", media_type)},
                           .body = [&] { return body_of(bytes); }});
    if (told.head.status != 201) {
        throw_status_failure(repository_.reference(), told.head, told.error,
                             fmt::format("given the manifest {}, it", tag_or_digest));
    }
    return told.head.header("oci-subject").has_value();
}

} // namespace kiln::registry::remote
