// SPDX-License-Identifier: Apache-2.0
// The bill: each start costs the seconds until its end, and 60 at least, at the price of the instance's type; volumes
// have GiB-hours for as long as they exist, whether an instance runs or not: an instance's own disks from its launch to
// its termination, the others from their creation to their deletion.
#pragma once

#include "launcher/usage/history.h"
#include "launcher/usage/volume_history.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace kiln::launcher
{

struct Window {
    Time from = Time::min();
    Time to = Time::max();
};

// Sums are exact: they are rounded when they are printed.
struct UsageRow {
    std::string key;  // what they were grouped by
    std::string name; // of the instance, where it is by instance
    unsigned starts = 0;
    std::int64_t seconds = 0;     // billed
    std::int64_t cost = 0;        // millionths of the currency, times 3600
    std::int64_t mib_seconds = 0; // of volumes

    void add(const UsageRow& other);
    [[nodiscard]] std::string cost_text() const;      // "0.020800"
    [[nodiscard]] std::string gib_hours_text() const; // "1.250"
};

// `by`: "instance", "type", "day" (in UTC) or "tag:KEY"; what has no such tag is under "(none)". A start counts where
// it is within `window`; time and volumes count for the part that is. Volumes have no type: by type they are under
// "(volumes)"; by instance each volume is a row of its own. `now` is where volumes that exist end. Rows are sorted by
// key; instances by their launch.
[[nodiscard]] std::vector<UsageRow> add_up(const std::vector<History>& histories, const std::string& by, Window window,
                                           Time now, const std::vector<VolumeHistory>& volumes = {});

} // namespace kiln::launcher
