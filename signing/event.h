// SPDX-License-Identifier: Apache-2.0
// A change of a region's catalogue after or at publishing, as its account signed it: canonical JSON in a DSSE
// envelope. Events are numbered from 1 within a region, and each names the digest of the one before, so that none can
// be left out, moved or replaced. docs/trust.md has every field.
#pragma once

#include "core/digest.h"
#include "core/json.h"
#include "signing/keys.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::signing
{

inline constexpr std::string_view event_payload_type = "application/vnd.kiln.event.v1+json";

struct Event {
    std::string region{};
    std::int64_t number = 0;                // 1 is the region's first
    std::optional<Digest> previous{};       // of the payload of number - 1; none for the first
    std::optional<Digest> image_previous{}; // of the payload of the same image's event before; none for its first
    std::string time{};                     // ISO 8601, by the clock of whoever signed it
    std::string account;                    // who says so; 12 digits
    std::string image;                      // "ami-..."
    Digest manifest;                        // of the image's OCI manifest
    std::string action;                     // "publish", "share", ...: registry/lifecycle.h
    Json arguments;                         // an object; what it holds depends on the action
};

// Canonical JSON; its SHA-256 is the event's digest. Throws Error{internal} for what that can't hold.
[[nodiscard]] std::string event_payload(const Event& event);
// Throws Error{untrusted} unless it is such a payload; a newer schema says so.
[[nodiscard]] Event parse_event(std::string_view payload);

[[nodiscard]] std::string sign_event(const Event& event, const SecretKey& key);

// The keys of an account whose signature under what was signed at `time` counts.
using KeysOfAccount = std::function<std::vector<PublicKey>(std::string_view account, std::string_view time)>;
// For who only looks at what an event claims.
[[nodiscard]] inline std::vector<PublicKey> no_keys(std::string_view /*account*/, std::string_view /*time*/)
{
    return {};
}

struct ReadEvent {
    Event event;
    Digest digest;         // of the payload
    bool verified = false; // a trusted key of event.account signed it; all else is only a claim
};
// Throws Error{untrusted} for a malformed envelope or payload.
[[nodiscard]] ReadEvent read_event(std::string_view envelope, const KeysOfAccount& keys_of);

} // namespace kiln::signing
