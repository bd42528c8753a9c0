// SPDX-License-Identifier: Apache-2.0
#include "registry/catalogue_schema.h"

#include "core/error.h"

#include <fmt/format.h>

namespace kiln::registry
{
namespace
{

constexpr std::int64_t catalogue_version = 3;
constexpr std::int64_t application_id = 0x4b494c4e; // "KILN"

constexpr const char* create_tables = R"(
    CREATE TABLE images (
        id              TEXT    NOT NULL PRIMARY KEY,
        name            TEXT    NOT NULL,
        major           INTEGER NOT NULL,
        minor           INTEGER NOT NULL,
        patch           INTEGER NOT NULL,
        architecture    TEXT    NOT NULL,
        description     TEXT    NOT NULL,
        owner           TEXT    NOT NULL,
        manifest        TEXT    NOT NULL,
        created         TEXT    NOT NULL,
        state           TEXT    NOT NULL CHECK (state IN ('available', 'disabled', 'deregistered')),
        launch_public   INTEGER NOT NULL CHECK (launch_public IN (0, 1)),
        virtual_size    INTEGER NOT NULL,
        stored_size     INTEGER NOT NULL,
        recipe          TEXT,
        holder          TEXT    NOT NULL,
        launch_accounts TEXT    NOT NULL,
        deprecated_at   TEXT,
        last_event      INTEGER NOT NULL,
        launch_organizations TEXT NOT NULL DEFAULT '',
        UNIQUE (name, major, minor, patch, architecture)
    ) STRICT;
    CREATE TABLE events (
        number   INTEGER NOT NULL PRIMARY KEY,
        image    TEXT    NOT NULL,
        envelope TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX events_of_image ON events (image, number);
    CREATE TABLE channels (
        name    TEXT    NOT NULL,
        channel TEXT    NOT NULL,
        image   TEXT    NOT NULL,
        event   INTEGER NOT NULL,
        PRIMARY KEY (name, channel)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE facts (
        image TEXT NOT NULL,
        key   TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (image, key)
    ) STRICT, WITHOUT ROWID;
    PRAGMA application_id = 1263094862;
    PRAGMA user_version = 3;
)";
static_assert(application_id == 1263094862);

// Version 1 knew no events: its images stay without one, and are what their signed manifests say. SQLite can't change a
// CHECK, so the table is made anew.
constexpr const char* set_version_1_aside = "ALTER TABLE images RENAME TO images_1;";
constexpr const char* copy_version_1 = R"(
    INSERT INTO images SELECT id, name, major, minor, patch, architecture, description, owner, manifest, created,
        CASE state WHEN 'deprecated' THEN 'available' ELSE state END, launch_public, virtual_size, stored_size, recipe,
        owner, '', NULL, 0, '' FROM images_1;
    DROP TABLE images_1;
)";
// Version 2 knew no organizations, and has nothing in `facts`: that comes from the manifests when it is first asked
// for.
constexpr const char* from_version_2 = R"(
    ALTER TABLE images ADD COLUMN launch_organizations TEXT NOT NULL DEFAULT '';
    CREATE TABLE facts (
        image TEXT NOT NULL,
        key   TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (image, key)
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 3;
)";

std::int64_t pragma(const Database& database, std::string_view sql)
{
    Statement statement(database, sql);
    return statement.step() ? statement.integer(0) : 0;
}

std::int64_t version_of(const Database& database)
{
    return pragma(database, "PRAGMA user_version");
}

} // namespace

void create_catalogue(const Database& database)
{
    Transaction transaction(database);
    const bool empty = pragma(database, "SELECT count(*) FROM sqlite_schema") == 0;
    if (empty && version_of(database) == 0) {
        database.execute(create_tables);
    }
    transaction.commit();
}

void bring_up_to_date(const Database& database, const std::filesystem::path& file)
{
    if (pragma(database, "PRAGMA application_id") != application_id) {
        throw Error(ErrorKind::io, fmt::format("{} is not a catalogue of Kiln", file.native()),
                    "restore catalogue.sqlite from a backup; the images' blobs are still there");
    }
    const std::int64_t version = version_of(database);
    if (version > catalogue_version) {
        throw Error(ErrorKind::io,
                    fmt::format("{} was made by a newer Kiln (version {}); this one knows up to {}", file.native(),
                                version, catalogue_version),
                    "install a newer Kiln to use this region");
    }
    if (version < catalogue_version) {
        Transaction transaction(database);
        if (version_of(database) == 2) { // another process may have been first
            database.execute(from_version_2);
        } else if (version_of(database) < catalogue_version) {
            database.execute(set_version_1_aside);
            database.execute(create_tables);
            database.execute(copy_version_1);
        }
        transaction.commit();
    }
}

} // namespace kiln::registry
