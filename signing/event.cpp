// SPDX-License-Identifier: Apache-2.0
#include "signing/event.h"

#include "core/error.h"
#include "core/random.h"
#include "signing/base64.h"
#include "signing/dsse.h"
#include "signing/in_toto.h"
#include "signing/trust_store.h"
#include "signing/untrusted_json.h"

#include <fmt/format.h>

namespace kiln::signing
{
namespace
{

constexpr std::string_view event_document = "catalogue event";
constexpr std::int64_t event_schema = 1;

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
    auto digest = Digest::parse(string_member(json, key, event_document));
    if (!digest) {
        refuse(event_document, fmt::format("\"{}\" is not a digest", key));
    }
    return *std::move(digest);
}

std::optional<Digest> digest_or_null(const Json& json, std::string_view key)
{
    return member(json, key, event_document).is_null() ? std::nullopt : std::optional(digest_member(json, key));
}

Event read(std::string_view payload)
{
    const Json json = parse_json(payload, event_document);
    if (const std::int64_t schema = integer_member(json, "schema", event_document); schema != event_schema) {
        refuse(event_document, fmt::format("it was made by a newer Kiln (schema {})", schema), "install a newer Kiln");
    }
    Event event{.region = string_member(json, "region", event_document),
                .number = integer_member(json, "number", event_document),
                .previous = digest_or_null(json, "previous"),
                .image_previous = digest_or_null(json, "image_previous"),
                .time = string_member(json, "time", event_document),
                .account = string_member(json, "account", event_document),
                .image = string_member(json, "image", event_document),
                .manifest = digest_member(json, "manifest"),
                .action = string_member(json, "action", event_document),
                .arguments = member(json, "arguments", event_document)};
    if (event.number < 1 || event.previous.has_value() != (event.number > 1)) {
        refuse(event_document, "its number and the event before do not fit");
    }
    if (!is_account_id(event.account) || !is_resource_id("ami-", event.image) || !event.arguments.is_object()) {
        refuse(event_document, "its account, image or arguments are malformed");
    }
    // Whatever Kiln would not have written itself could be a condition that it would not honour.
    if (to_json(event) != json) {
        refuse(event_document, "it holds fields that this version of Kiln does not know");
    }
    return event;
}

std::string payload_of(std::string_view envelope)
{
    auto payload = parse_base64(string_member(parse_json(envelope, event_document), "payload", event_document));
    if (!payload) {
        refuse(event_document, "its payload is not base64");
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
