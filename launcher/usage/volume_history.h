// SPDX-License-Identifier: Apache-2.0
// What a volume's event log says about how large it was, and from when to when: what its GiB-hours are made of.
#pragma once

#include "launcher/usage/history.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

struct VolumeSpan {
    Time from{};
    std::optional<Time> to{}; // none: it exists
    ByteSize size;
};

struct VolumeHistory {
    std::string id;
    std::optional<std::string> name; // the newest, as are the tags
    Tags tags;
    std::vector<VolumeSpan> spans; // one after the other
};

// Reads a log. A line that is none is passed over; what comes after a deletion is none of it.
[[nodiscard]] VolumeHistory read_volume_history(std::string_view id, std::string_view log);

// Of every volume that there is and was, oldest first.
[[nodiscard]] std::vector<VolumeHistory> load_volume_histories(const Paths& paths);

} // namespace kiln::launcher
