// SPDX-License-Identifier: Apache-2.0
#include "registry/event_log.h"

#include "core/error.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "registry/lifecycle.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace kiln::registry
{
namespace
{

using Marks = std::map<std::string, Seen, std::less<>>;

// The channel that an event is about, so that an older event of it can't be taken for the newest.
std::optional<std::string> channel_of(const signing::Event& event)
{
    const auto text = [&](const char* key) {
        const auto found = event.arguments.find(key);
        return found != event.arguments.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    return event.action == action::channel ? std::optional(channel_subject(text("name"), text("channel")))
                                           : std::nullopt;
}

} // namespace

// The chain behind what is remembered, event by event.
class EventLog::Walk
{
public:
    Walk(const EventLog& log, std::optional<Seen> head, const signing::KeysOfAccount& keys_of)
        : log_(log), head_(std::move(head)), keys_of_(keys_of)
    {
    }

    void visit(const StoredEvent& stored)
    {
        const signing::ReadEvent read = signing::read_event(stored.envelope, keys_of_);
        const signing::Event& event = read.event;
        const std::int64_t expected = head_ ? head_->number + 1 : 1;
        if (stored.number != expected || event.number != expected) {
            log_.refuse(fmt::format("its event {} is missing", expected));
        }
        if (event.region != log_.region_) {
            log_.refuse(fmt::format("its event {} is one of the region {}", expected, printable(event.region, false)));
        }
        if (event.previous != (head_ ? std::optional(head_->digest) : std::nullopt)) {
            log_.refuse(fmt::format("its event {} does not follow from the event before", expected));
        }
        if (stored.image != event.image || !follows_from_its_image(event)) {
            log_.refuse(fmt::format("its event {} does not follow from the events of {}", expected, event.image));
        }
        head_ = Seen{event.number, read.digest};
        pending_.insert_or_assign(event.image, *head_);
        if (const auto channel = channel_of(event)) {
            pending_.insert_or_assign(*channel, *head_);
        }
        if (read.verified) { // and so is all that it stands on
            verified_head_ = head_;
            for (const auto& [subject, seen] : pending_) {
                verified_.insert_or_assign(subject, seen);
            }
            pending_.clear();
        }
    }

    void remember() const
    {
        if (verified_head_) {
            log_.memory_.advance(*verified_head_, verified_);
        }
    }

private:
    [[nodiscard]] bool follows_from_its_image(const signing::Event& event) const
    {
        for (const Marks* marks : {&pending_, &verified_}) {
            if (const auto found = marks->find(event.image); found != marks->end()) {
                return event.image_previous == found->second.digest;
            }
        }
        const auto seen = log_.memory_.find(event.image);
        if (seen && seen->number >= event.number) {
            return true; // another process walks as well, and is ahead
        }
        return event.image_previous == (seen ? std::optional(seen->digest) : std::nullopt);
    }

    const EventLog& log_;
    std::optional<Seen> head_;
    const signing::KeysOfAccount& keys_of_;
    std::optional<Seen> verified_head_;
    Marks pending_;
    Marks verified_;
};

void EventLog::refuse(std::string_view complaint) const
{
    throw Error(
        ErrorKind::untrusted, fmt::format("the catalogue of region {} was refused: {}", region_, complaint),
        fmt::format("restore the newest catalogue.sqlite of the region; if you gave up newer changes on purpose, "
                    "`kiln registry forget {}` accepts the older state",
                    region_));
}

void EventLog::require_remembered(const Seen& head) const
{
    const auto stored = catalogue_.find_event(head.number);
    if (!stored) {
        const auto last = catalogue_.last_event();
        refuse(fmt::format("it ends at event {}, and this home has seen event {}: it was rolled back to an older state",
                           last ? last->number : 0, head.number));
    }
    if (signing::read_event(stored->envelope, signing::no_keys).digest != head.digest) {
        refuse(fmt::format("its event {} is another one than this home has seen: it was changed from an older state, "
                           "or mixed",
                           head.number));
    }
}

void EventLog::catch_up(const signing::KeysOfAccount& keys_of) const
{
    const std::optional<Seen> head = memory_.head();
    if (head) {
        require_remembered(*head);
    }
    Walk walk(*this, head, keys_of);
    catalogue_.each_event_after(head ? head->number : 0, [&](const StoredEvent& stored) { walk.visit(stored); });
    walk.remember();
}

EventLog::Verified EventLog::verified(std::string_view id, const signing::KeysOfAccount& keys_of) const
{
    const std::optional<Seen> seen = memory_.find(id); // before the catalogue, which only ever grows
    const auto record = catalogue_.find_record(id);
    if (!record) {
        throw Error(ErrorKind::not_found, fmt::format("there is no image {} in region {}", id, region_),
                    "`kiln image list` shows what is there");
    }
    Verified verified{record->image, {}};
    bool met = !seen;
    std::optional<Digest> previous;
    for (const StoredEvent& stored : record->events) {
        signing::ReadEvent read = signing::read_event(stored.envelope, keys_of);
        const signing::Event& event = read.event;
        if (!read.verified) {
            refuse(fmt::format("event {} of {} is not signed by a key that is trusted for account {}", stored.number,
                               id, event.account));
        }
        if (event.number != stored.number || event.image != id || event.image_previous != previous ||
            event.region != region_) {
            refuse(fmt::format("event {} of {} does not follow from the one before", stored.number, id));
        }
        met = met || (seen->number == event.number && seen->digest == read.digest);
        previous = read.digest;
        verified.events.push_back(std::move(read));
    }
    if (!met) {
        refuse(fmt::format("event {} of {}, which this home has seen, is not there", seen->number, id));
    }
    return verified;
}

void EventLog::each(const signing::KeysOfAccount& keys_of,
                    const std::function<void(const StoredEvent&, const signing::ReadEvent&)>& visit) const
{
    std::int64_t number = 0;
    std::optional<Digest> previous;
    catalogue_.each_event_after(0, [&](const StoredEvent& stored) {
        const signing::ReadEvent read = signing::read_event(stored.envelope, keys_of);
        const signing::Event& event = read.event;
        ++number;
        if (stored.number != number || event.number != number || event.region != region_ ||
            event.image != stored.image || event.previous != previous) {
            refuse(fmt::format("its event {} does not follow from the event before", number));
        }
        previous = read.digest;
        visit(stored, read);
    });
}

std::optional<ChannelRow> EventLog::find_channel(std::string_view name, std::string_view channel) const
{
    const auto seen = memory_.find(channel_subject(name, channel));
    auto row = catalogue_.find_channel(name, channel);
    if (seen && row && row->event < seen->number) {
        refuse(fmt::format("the channel {} of {} is older than this home has seen", channel, name));
    }
    return row;
}

signing::Event EventLog::next(signing::Event event, const std::optional<Digest>& image_previous) const
{
    const auto last = catalogue_.last_event();
    event.region = region_;
    event.number = last ? last->number + 1 : 1;
    event.previous = last ? std::optional(signing::read_event(last->envelope, signing::no_keys).digest) : std::nullopt;
    event.image_previous = image_previous;
    event.time = iso_now();
    return event;
}

signing::KeysOfAccount keys_of(const signing::TrustStore& trust)
{
    auto known = std::make_shared<std::map<std::string, std::vector<signing::TrustedKey>, std::less<>>>();
    return [&trust, known](std::string_view account, std::string_view time) {
        auto found = known->find(account);
        if (found == known->end()) {
            found = known->emplace(account, trust.all_keys_of(account)).first;
        }
        std::vector<signing::PublicKey> keys;
        for (const signing::TrustedKey& trusted : found->second) {
            if (!trusted.refusal(time)) {
                keys.push_back(trusted.key);
            }
        }
        return keys;
    };
}

} // namespace kiln::registry
