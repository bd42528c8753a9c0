// SPDX-License-Identifier: Apache-2.0
// One line of a region's audit log: a signed event of the catalogue, or a local action (a collection, a repair, an
// attempt that was refused), which nobody signs. Local actions are lines of audit.jsonl in the region's folder, only
// ever appended.
#pragma once

#include "core/json.h"

#include <cstdint>
#include <optional>
#include <string>

namespace kiln::registry
{

struct LocalAction {
    std::string action;                 // "collect", "repair", "refused"
    std::string account{};              // 12 digits; empty: none, or not known
    std::optional<std::string> image{}; // its id
    Json details = Json::object();
};

struct AuditEntry {
    std::string time;                   // ISO 8601
    std::optional<std::int64_t> number; // of an event; nullopt: a local action
    std::string account{};              // empty: not known
    std::string action{};
    std::optional<std::string> image{}; // its id
    Json details{};                     // arguments of an event, details of a local action
    bool verified = false;              // an event that a trusted key of its account signed
};

} // namespace kiln::registry
