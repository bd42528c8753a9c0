// SPDX-License-Identifier: Apache-2.0
// audit.jsonl of a region: its local actions, a JSON object each line, appended and never changed. Private to
// registry/.
#pragma once

#include "registry/upkeep/audit_entry.h"

#include <filesystem>
#include <vector>

namespace kiln::registry
{

[[nodiscard]] inline std::filesystem::path audit_file(const std::filesystem::path& region_folder)
{
    return region_folder / "audit.jsonl";
}

// Durable when it returns; whole lines also when many processes write, or one is killed.
void append_action(const std::filesystem::path& region_folder, const LocalAction& action);

// In the order of the file. A line that a killed writer left half is left out.
[[nodiscard]] std::vector<AuditEntry> read_actions(const std::filesystem::path& region_folder);

} // namespace kiln::registry
