// SPDX-License-Identifier: Apache-2.0
// Region's changes and what their events prove.
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "registry/lifecycle.h"
#include "registry/region_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::registry
{
namespace
{

std::string title_of(const Image& image)
{
    return fmt::format("{} {} ({})", image.name, image.version.to_string(), image.id);
}

void require_holder(const Image& image, const Signer& signer)
{
    if (signer.account != image.holder) {
        throw Error(ErrorKind::permission_denied,
                    fmt::format("account {} may not change {}, which account {} holds", signer.account, title_of(image),
                                image.holder),
                    "ask its holder; `kiln image copy` makes one that is yours, in another region");
    }
}

// Whether everything that may change is the same; the channels are the catalogue's rows.
bool same(const Image& one, const Image& other)
{
    return stored_state(one.state) == stored_state(other.state) && one.launch_public == other.launch_public &&
           one.launch_accounts == other.launch_accounts && one.launch_organizations == other.launch_organizations &&
           one.deprecated_at == other.deprecated_at;
}

std::optional<Catalogue::ChannelChange> channel_change_of(const Change& change)
{
    if (change.action != action::channel) {
        return std::nullopt;
    }
    return Catalogue::ChannelChange{.channel = change.arguments.at("channel").get<std::string>(),
                                    .leave = change.arguments.at("leave").get<bool>()};
}

bool channel_is_like_that(const Catalogue& catalogue, const Image& image, const Catalogue::ChannelChange& change)
{
    const auto row = catalogue.find_channel(image.name, change.channel);
    return (row && row->image == image.id) != change.leave;
}

// What the signed state forbids, told as such rather than as an event that nobody would believe.
void require_possible(const Image& image, const Change& change)
{
    if (image.state == ImageState::disabled && change.action == action::channel &&
        !change.arguments.at("leave").get<bool>()) {
        throw Error(ErrorKind::conflict, fmt::format("{} is disabled and can't be put into a channel", title_of(image)),
                    "`kiln image enable` it first, or choose another version");
    }
}

// The arguments come from change.h, so what can't be applied is what the state forbids.
void apply_own(Image& image, const signing::Event& event)
{
    try {
        apply(image, event);
    } catch (const Error& error) {
        throw Error(ErrorKind::conflict,
                    fmt::format("{} can't be changed like that: {}", title_of(image), error.message()),
                    "make it public, or unshare it from others first");
    }
}

} // namespace

Region::Changed Region::change(const Image& image, const Change& what, const Signer& signer,
                               const signing::TrustStore& trust)
{
    const FileLock lock(lock_file(state_->folder), FileLock::Wait::block);
    const Image now = resolve(image.id); // it may have been deregistered in the meantime
    require_holder(now, signer);
    const bundle::Manifest manifest = load_manifest(now);
    const EventLog log = state_->events();
    const signing::KeysOfAccount keys = keys_of(trust);
    const Image current = explained(now, manifest, trust);
    require_holder(current, signer);

    const EventLog::Verified verified = log.verified(now.id, keys);
    const signing::Event event =
        log.next({.account = signer.account,
                  .image = now.id,
                  .manifest = now.manifest,
                  .action = what.action,
                  .arguments = what.arguments},
                 verified.events.empty() ? std::nullopt : std::optional(verified.events.back().digest));
    require_possible(current, what);
    Image changed = current;
    apply_own(changed, event);
    const auto channel = channel_change_of(what);
    if (channel ? channel_is_like_that(state_->catalogue, now, *channel) : same(changed, current)) {
        return {now, false};
    }
    const StoredEvent stored{event.number, event.image, signing::sign_event(event, signer.key)};
    state_->catalogue.update(changed, stored, channel);
    log.catch_up(keys);
    return {state_->catalogue.find_id(now.id).value(), true};
}

Image Region::explained(const Image& image, const bundle::Manifest& manifest, const signing::TrustStore& trust) const
{
    const EventLog log = state_->events();
    const signing::KeysOfAccount keys = keys_of(trust);
    log.catch_up(keys);
    const EventLog::Verified verified = log.verified(image.id, keys);
    Image explained = image_of_events(verified.row, manifest, verified.events);
    const std::vector<std::string> differences = unexplained(verified.row, explained);
    if (!differences.empty()) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("no signed event explains what the catalogue has: {}", join(differences, ", ")),
                    "restore the region's catalogue.sqlite from a backup");
    }
    if (explained.state == ImageState::available && verified.row.state == ImageState::deprecated) {
        explained.state = ImageState::deprecated; // by the date, which is the same in both
    }
    return explained;
}

std::vector<signing::Event> Region::history(const Image& image, const signing::TrustStore& trust) const
{
    static_cast<void>(explained(image, load_manifest(image), trust));
    std::vector<signing::Event> events;
    for (signing::ReadEvent& read : state_->events().verified(image.id, keys_of(trust)).events) {
        events.push_back(std::move(read.event));
    }
    return events;
}

std::vector<std::string> Region::channels_of(const Image& image) const
{
    return state_->catalogue.channels_of(image.id);
}

void Region::forget_seen() const
{
    state_->memory.forget();
}

} // namespace kiln::registry
