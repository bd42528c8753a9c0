// SPDX-License-Identifier: Apache-2.0
// What an instance's event log says about when it ran, as what, and which volumes it had: all that a bill is made of.
#pragma once

#include "launcher/instance.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

using Time = std::chrono::system_clock::time_point; // whole seconds

// From a start to the end after it.
struct Run {
    Time start{};
    std::optional<Time> end{}; // none: no end was written
    std::string type{};
    std::int64_t price = 0; // for an hour, in millionths of the currency
};

struct History {
    std::string id;
    std::optional<std::string> name;
    Tags tags; // the newest
    std::vector<Run> runs;
    std::optional<Time> created;
    std::optional<Time> terminated;
    ByteSize volumes; // all of them, from `created` to `terminated`
};

// Reads a log. A line that is none, as a crash leaves one, is passed over; so is what a newer Kiln writes. A start that
// follows another one without an end ends that one at the last that was heard of it.
[[nodiscard]] History read_history(std::string_view id, std::string_view log);

// Whether the last start in the log is that of this QEMU, and no end follows it.
[[nodiscard]] bool says_it_runs(std::string_view log, pid_t qemu);

// Of every instance that there is and was. A run without an end, of an instance whose QEMU lives, goes on until `now`;
// of another one it ended when it was last seen (life/last_seen.h).
[[nodiscard]] std::vector<History> load_histories(const Paths& paths, Time now);

} // namespace kiln::launcher
