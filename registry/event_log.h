// SPDX-License-Identifier: Apache-2.0
// A region's events against what this home remembers of them: whether the catalogue is the newest that was seen, and
// whole. Private to registry/.
//
// Everything behind the remembered event is walked once and remembered, so the cost of a later look does not grow with
// the region: one event of it, and those of one image.
#pragma once

#include "registry/catalogue.h"
#include "registry/memory.h"
#include "signing/event.h"
#include "signing/trust_store.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

class EventLog
{
public:
    // All outlive it.
    EventLog(const Catalogue& catalogue, const Memory& memory, const std::string& region)
        : catalogue_(catalogue), memory_(memory), region_(region)
    {
    }

    // Walks and remembers what is new, up to the last event that a trusted key signed: what nobody vouches for can't
    // make this home refuse the true catalogue later. Throws Error{untrusted} when the catalogue lacks or contradicts
    // what was seen, or its chain is broken.
    void catch_up(const signing::KeysOfAccount& keys_of) const;

    // An image's row and its events, after catch_up(): each signed by a trusted key of the account that it names, and
    // none missing. Throws Error{untrusted}, and {not_found} when there is no such image.
    struct Verified {
        Image row;
        std::vector<signing::ReadEvent> events;
    };
    [[nodiscard]] Verified verified(std::string_view id, const signing::KeysOfAccount& keys_of) const;

    // Every event, in order, each with the row that holds it; whether it is signed it says itself. Throws
    // Error{untrusted} where the chain is broken.
    void each(const signing::KeysOfAccount& keys_of,
              const std::function<void(const StoredEvent&, const signing::ReadEvent&)>& visit) const;

    // Which image has the channel, after catch_up(); nullopt for none. The event is only known to be of the chain.
    [[nodiscard]] std::optional<ChannelRow> find_channel(std::string_view name, std::string_view channel) const;

    // `event` with region, number, time and the digests of the events before; the caller holds the region's lock.
    [[nodiscard]] signing::Event next(signing::Event event, const std::optional<Digest>& image_previous) const;

private:
    class Walk;
    void require_remembered(const Seen& head) const;
    [[noreturn]] void refuse(std::string_view complaint) const;

    const Catalogue& catalogue_;
    const Memory& memory_;
    const std::string& region_;
};

// The trust store's, read once for each account.
[[nodiscard]] signing::KeysOfAccount keys_of(const signing::TrustStore& trust);

} // namespace kiln::registry
