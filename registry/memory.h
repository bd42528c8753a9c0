// SPDX-License-Identifier: Apache-2.0
// What this home has seen of a region's events, kept outside the region: its newest event, and the newest of each image
// and channel. A catalogue that has less was rolled back. One SQLite file a region; safe for many processes at once.
#pragma once

#include "core/digest.h"
#include "registry/sqlite.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::registry
{

struct Seen {
    std::int64_t number = 0; // of the event, in the region
    Digest digest;           // of its payload
};

class Memory
{
public:
    // Made on first use, with the folder. Throws Error{io} for a file of a newer Kiln or that is no memory.
    explicit Memory(const std::filesystem::path& file);

    // What is known of the region as a whole, or nullopt for one that was never seen.
    [[nodiscard]] std::optional<Seen> head() const;
    // `subject`: an image's id, or channel_subject().
    [[nodiscard]] std::optional<Seen> find(std::string_view subject) const;

    // Durable when it returns. What another process saw in the meantime is never replaced by something older.
    void advance(const Seen& head, const std::map<std::string, Seen, std::less<>>& subjects) const;

    // Nothing is known any more: the next event that is seen is believed.
    void forget() const;

private:
    Database database_;
};

[[nodiscard]] std::string channel_subject(std::string_view name, std::string_view channel);

} // namespace kiln::registry
