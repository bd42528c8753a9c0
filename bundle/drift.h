// SPDX-License-Identifier: Apache-2.0
// What became of an AMI in an instance, as a snapshot's manifest has it: the differences from its parent that no list
// of packages explains, and those that one does. docs/bundle-format.md documents every field.
#pragma once

#include "bundle/object_reader.h"
#include "core/json.h"

#include <cstdint>
#include <string>
#include <vector>

namespace kiln::bundle
{

struct DriftPackage {
    std::string name;
    std::string architecture;
    std::string from; // a version; empty: added
    std::string to;   // empty: removed
};

struct Drift {
    std::vector<DriftPackage> packages{};
    // Absolute paths, sorted, but for those that belong to `packages` or are the system's own bookkeeping.
    std::vector<std::string> files_added{};
    std::vector<std::string> files_removed{};
    std::vector<std::string> files_changed{};
    std::int64_t files_omitted = 0; // of the three, past drift_files
    std::vector<std::string> users_added{};
    std::vector<std::string> users_removed{};
    std::vector<std::string> services_enabled{}; // units: "nginx.service"
    std::vector<std::string> services_disabled{};
    std::int64_t size_change = 0; // bytes of all files
};

inline constexpr std::size_t drift_files = 10'000; // in each list

// What was read of a guest, as a manifest can hold it: text that can be shown, and cut where it is too long; of each
// list the first drift_files. The guest chose all of it, and must not make its own snapshot unreadable.
[[nodiscard]] Drift fitted(Drift drift);

[[nodiscard]] Json to_json(const Drift& drift);
[[nodiscard]] Drift read_drift(ObjectReader reader); // throws Error{untrusted}

} // namespace kiln::bundle
