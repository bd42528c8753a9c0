// SPDX-License-Identifier: Apache-2.0
// Region::audit_log and Region::note.
#include "registry/region_state.h"
#include "registry/upkeep/audit_file.h"

#include <utility>

namespace kiln::registry
{

std::vector<AuditEntry> Region::audit_log(const signing::TrustStore& trust) const
{
    const EventLog log = state_->events();
    const signing::KeysOfAccount keys = keys_of(trust);
    log.catch_up(keys);
    std::vector<AuditEntry> actions = read_actions(state_->folder);
    auto next = actions.begin();
    std::vector<AuditEntry> all;
    const auto take_until = [&](const std::string& time) {
        while (next != actions.end() && next->time < time) {
            all.push_back(std::move(*next++));
        }
    };
    // Events stay in the order of their numbers, whatever their signers' clocks said.
    log.each(keys, [&](const StoredEvent& /*stored*/, const signing::ReadEvent& read) {
        const signing::Event& event = read.event;
        take_until(event.time);
        all.push_back({.time = event.time,
                       .number = event.number,
                       .account = event.account,
                       .action = event.action,
                       .image = event.image,
                       .details = event.arguments,
                       .verified = read.verified});
    });
    take_until("~"); // behind every time
    return all;
}

void Region::note(const LocalAction& action) const
{
    append_action(state_->folder, action);
}

Lease Region::lease(const std::vector<Digest>& digests) const
{
    return {state_->folder, digests};
}

} // namespace kiln::registry
