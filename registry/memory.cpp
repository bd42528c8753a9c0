// SPDX-License-Identifier: Apache-2.0
#include "registry/memory.h"

#include "core/error.h"
#include "core/files.h"

#include <fmt/format.h>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

constexpr std::int64_t memory_version = 1;
constexpr std::int64_t application_id = 0x4b4c4d45; // "KLME"
constexpr std::string_view region_subject;          // the empty one

constexpr const char* create_table = R"(
    CREATE TABLE seen (
        subject TEXT    NOT NULL PRIMARY KEY,
        number  INTEGER NOT NULL,
        digest  TEXT    NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA application_id = 1263291717;
    PRAGMA user_version = 1;
)";
static_assert(application_id == 1263291717);

Database open_memory(const fs::path& file)
{
    make_directories(file.parent_path(), 0700);
    return {file, true};
}

std::int64_t pragma(const Database& database, std::string_view sql)
{
    Statement statement(database, sql);
    return statement.step() ? statement.integer(0) : 0;
}

void put(const Database& database, std::string_view subject, const Seen& seen)
{
    const std::string digest = seen.digest.to_string();
    Statement statement(database, "INSERT INTO seen (subject, number, digest) VALUES (?, ?, ?) ON CONFLICT (subject) "
                                  "DO UPDATE SET number = excluded.number, digest = excluded.digest "
                                  "WHERE excluded.number > seen.number");
    statement.bind(1, subject).bind(2, seen.number).bind(3, digest).step();
}

} // namespace

Memory::Memory(const fs::path& file) : database_(open_memory(file))
{
    if (pragma(database_, "PRAGMA user_version") == 0) {
        Transaction transaction(database_);
        if (pragma(database_, "SELECT count(*) FROM sqlite_schema") == 0) {
            database_.execute(create_table);
        }
        transaction.commit();
    }
    if (pragma(database_, "PRAGMA application_id") != application_id) {
        throw Error(ErrorKind::io, fmt::format("{} is not what Kiln keeps of the events that it saw", file.native()),
                    "restore it from a backup; removing it starts anew, and an older catalogue is then not noticed");
    }
    if (const std::int64_t version = pragma(database_, "PRAGMA user_version"); version > memory_version) {
        throw Error(ErrorKind::io,
                    fmt::format("{} was made by a newer Kiln (version {}); this one knows up to {}", file.native(),
                                version, memory_version),
                    "install a newer Kiln to use this region");
    }
}

std::optional<Seen> Memory::head() const
{
    return find(region_subject);
}

std::optional<Seen> Memory::find(std::string_view subject) const
{
    Statement statement(database_, "SELECT number, digest FROM seen WHERE subject = ?");
    statement.bind(1, subject);
    if (!statement.step()) {
        return std::nullopt;
    }
    const auto digest = Digest::parse(statement.text(1));
    if (!digest) {
        throw Error(ErrorKind::io, "what Kiln keeps of the events that it saw has a damaged entry",
                    "restore the region's file below seen/ in Kiln's home from a backup");
    }
    return Seen{statement.integer(0), *digest};
}

void Memory::advance(const Seen& head, const std::map<std::string, Seen, std::less<>>& subjects) const
{
    Transaction transaction(database_);
    for (const auto& [subject, seen] : subjects) {
        put(database_, subject, seen);
    }
    put(database_, region_subject, head);
    transaction.commit();
}

void Memory::forget() const
{
    database_.execute("DELETE FROM seen");
}

std::string channel_subject(std::string_view name, std::string_view channel)
{
    return fmt::format("{}@{}", name, channel);
}

} // namespace kiln::registry
