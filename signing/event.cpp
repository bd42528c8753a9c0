// SPDX-License-Identifier: Apache-2.0
#include "signing/event.h"

#include "core/error.h"
#include "core/random.h"
#include "signing/base64.h"
#include "signing/dsse.h"
#include "signing/trust_store.h"
#include "signing/untrusted_json.h"

#include <fmt/format.h>

namespace kiln::signing
{
namespace
{

constexpr std::string_view what = "catalogue event";
constexpr std::int64_t event_schema = 1;

[[noreturn]] void refuse(std::string_view complaint, std::string hint = {})
{
    throw Error(ErrorKind::untrusted, fmt::format("{}: {}", what, complaint), std::move(hint));
}

Json digest_json(const std::optional<Digest>& digest)
{
    return digest ? Json(digest->to_string()) : Json();
}

Json to_json(const Event& event)
{
    return {{"schema", event_schema},
            {"region", event.region},
            {"number", event.number},
            {"previous", digest_json(event.previous)},
            {"image_previous", digest_json(event.image_previous)},
            {"time", event.time},
            {"account", event.account},
            {"image", event.image},
            {"manifest", event.manifest.to_string()},
            {"action", event.action},
            {"arguments", event.arguments}};
}

Digest digest_member(const Json& json, std::string_view key)
{
    auto digest = Digest::parse(string_member(json, key, what));
    if (!digest) {
        refuse(fmt::format("\"{}\" is not a digest", key));
    }
    return *std::move(digest);
}

std::optional<Digest> digest_or_null(const Json& json, std::string_view key)
{
    return member(json, key, what).is_null() ? std::nullopt : std::optional(digest_member(json, key));
}

Event read(std::string_view payload)
{
    const Json json = parse_json(payload, what);
    if (const std::int64_t schema = integer_member(json, "schema", what); schema != event_schema) {
        refuse(fmt::format("it was made by a newer Kiln (schema {})", schema), "install a newer Kiln");
    }
    Event event{.region = string_member(json, "region", what),
                .number = integer_member(json, "number", what),
                .previous = digest_or_null(json, "previous"),
                .image_previous = digest_or_null(json, "image_previous"),
                .time = string_member(json, "time", what),
                .account = string_member(json, "account", what),
                .image = string_member(json, "image", what),
                .manifest = digest_member(json, "manifest"),
                .action = string_member(json, "action", what),
                .arguments = member(json, "arguments", what)};
    if (event.number < 1 || event.previous.has_value() != (event.number > 1)) {
        refuse("its number and the event before do not fit");
    }
    if (!is_account_id(event.account) || !is_resource_id("ami-", event.image) || !event.arguments.is_object()) {
        refuse("its account, image or arguments are malformed");
    }
    // Whatever Kiln would not have written itself could be a condition that it would not honour.
    if (to_json(event) != json) {
        refuse("it holds fields that this version of Kiln does not know");
    }
    return event;
}

std::string payload_of(std::string_view envelope)
{
    auto payload = parse_base64(string_member(parse_json(envelope, what), "payload", what));
    if (!payload) {
        refuse("its payload is not base64");
    }
    return *std::move(payload);
}

} // namespace

std::string event_payload(const Event& event)
{
    return canonical_json(to_json(event));
}

Event parse_event(std::string_view payload)
{
    return as_untrusted([&] { return read(payload); });
}

std::string sign_event(const Event& event, const SecretKey& key)
{
    return sign_envelope(event_payload_type, event_payload(event), key);
}

ReadEvent read_event(std::string_view envelope, const KeysOfAccount& keys_of)
{
    const std::string payload = as_untrusted([&] { return payload_of(envelope); });
    Event event = parse_event(payload);
    const std::vector<PublicKey> keys = keys_of(event.account, event.time);
    const auto verified = verify_envelope(envelope, event_payload_type, keys);
    return {std::move(event), digest_of(payload), verified && verified->payload == payload};
}

} // namespace kiln::signing
