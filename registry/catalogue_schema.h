// SPDX-License-Identifier: Apache-2.0
// The tables of a catalogue, and how an older one becomes a new one in place. Private to registry/.
#pragma once

#include "registry/sqlite.h"

#include <filesystem>

namespace kiln::registry
{

// Makes the tables in an empty database; leaves others alone.
void create_catalogue(const Database& database);

// Throws Error{io} for a database that is not a catalogue, or of a newer Kiln. An older one is migrated in one
// transaction.
void bring_up_to_date(const Database& database, const std::filesystem::path& file);

} // namespace kiln::registry
