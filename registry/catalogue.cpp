// SPDX-License-Identifier: Apache-2.0
#include "registry/catalogue.h"

#include "core/error.h"
#include "core/random.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

#include <array>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

constexpr std::int64_t catalogue_version = 1;
constexpr std::int64_t application_id = 0x4b494c4e; // "KILN"

constexpr const char* create_tables = R"(
    CREATE TABLE images (
        id            TEXT    NOT NULL PRIMARY KEY,
        name          TEXT    NOT NULL,
        major         INTEGER NOT NULL,
        minor         INTEGER NOT NULL,
        patch         INTEGER NOT NULL,
        architecture  TEXT    NOT NULL,
        description   TEXT    NOT NULL,
        owner         TEXT    NOT NULL,
        manifest      TEXT    NOT NULL,
        created       TEXT    NOT NULL,
        state         TEXT    NOT NULL CHECK (state IN ('available', 'deprecated', 'disabled')),
        launch_public INTEGER NOT NULL CHECK (launch_public IN (0, 1)),
        virtual_size  INTEGER NOT NULL,
        stored_size   INTEGER NOT NULL,
        recipe        TEXT,
        UNIQUE (name, major, minor, patch, architecture)
    ) STRICT;
    PRAGMA application_id = 1263094862;
    PRAGMA user_version = 1;
)";
static_assert(application_id == 1263094862);

// The columns in the order of image_of().
#define KILN_SELECT_IMAGES                                                                                             \
    "SELECT id, name, major, minor, patch, architecture, description, owner, manifest, created, state, "               \
    "launch_public, virtual_size, stored_size, recipe FROM images "

constexpr std::array states{ImageState::available, ImageState::deprecated, ImageState::disabled};

std::int64_t pragma(const Database& database, std::string_view sql)
{
    Statement statement(database, sql);
    return statement.step() ? statement.integer(0) : 0;
}

// A catalogue is a file that somebody may have edited: every field is looked at again.
class RowReader
{
public:
    explicit RowReader(const Statement& row) : row_(row) {}

    [[nodiscard]] std::uint32_t number(int column) const
    {
        const std::int64_t value = row_.integer(column);
        require(value >= 0 && value <= INT32_MAX);
        return static_cast<std::uint32_t>(value);
    }
    [[nodiscard]] ByteSize size(int column) const
    {
        require(row_.integer(column) >= 0);
        return ByteSize(static_cast<std::uint64_t>(row_.integer(column)));
    }
    [[nodiscard]] Digest digest(int column) const
    {
        const auto value = Digest::parse(row_.text(column));
        require(value.has_value());
        return *value;
    }
    [[nodiscard]] ImageState state(int column) const
    {
        const std::string text = row_.text(column);
        for (const ImageState state : states) {
            if (text == name_of(state)) {
                return state;
            }
        }
        require(false);
        return ImageState::disabled;
    }
    static void require(bool holds)
    {
        if (!holds) {
            throw Error(ErrorKind::io, "the catalogue has a damaged entry", "restore catalogue.sqlite from a backup");
        }
    }

private:
    const Statement& row_;
};

Image image_of(const Statement& row)
{
    const RowReader reader(row);
    Image image{.id = row.text(0),
                .name = row.text(1),
                .version = {reader.number(2), reader.number(3), reader.number(4)},
                .architecture = row.text(5),
                .description = row.text(6),
                .owner = row.text(7),
                .manifest = reader.digest(8),
                .created = row.text(9),
                .state = reader.state(10),
                .launch_public = row.integer(11) != 0,
                .virtual_size = reader.size(12),
                .stored_size = reader.size(13),
                .recipe = std::nullopt};
    if (!row.is_null(14)) {
        image.recipe = reader.digest(14);
    }
    RowReader::require(is_resource_id("ami-", image.id) && bundle::is_image_name(image.name) &&
                       signing::is_account_id(image.owner));
    return image;
}

std::vector<Image> all_rows(Statement& statement)
{
    std::vector<Image> images;
    while (statement.step()) {
        images.push_back(image_of(statement));
    }
    return images;
}

std::optional<Image> first_row(Statement& statement)
{
    return statement.step() ? std::optional(image_of(statement)) : std::nullopt;
}

void require_known(const Database& database, const fs::path& file)
{
    const std::int64_t version = pragma(database, "PRAGMA user_version");
    if (pragma(database, "PRAGMA application_id") != application_id) {
        throw Error(ErrorKind::io, fmt::format("{} is not a catalogue of Kiln", file.native()),
                    "restore catalogue.sqlite from a backup; the images' blobs are still there");
    }
    if (version > catalogue_version) {
        throw Error(ErrorKind::io,
                    fmt::format("{} was made by a newer Kiln (version {}); this one knows up to {}", file.native(),
                                version, catalogue_version),
                    "install a newer Kiln to use this region");
    }
}

Database open_database(const fs::path& file, Catalogue::Missing missing)
{
    if (missing == Catalogue::Missing::refuse && !fs::exists(file)) {
        throw Error(ErrorKind::io, fmt::format("the region has lost its catalogue {}", file.native()),
                    "restore catalogue.sqlite from a backup; the images' blobs are still there");
    }
    return {file, missing == Catalogue::Missing::create};
}

} // namespace

std::string_view name_of(ImageState state) noexcept
{
    switch (state) {
    case ImageState::available:
        return "available";
    case ImageState::deprecated:
        return "deprecated";
    case ImageState::disabled:
        break;
    }
    return "disabled";
}

Catalogue::Catalogue(const fs::path& file, Missing missing) : database_(open_database(file, missing))
{
    if (missing == Missing::create) {
        Transaction transaction(database_);
        const bool empty = pragma(database_, "SELECT count(*) FROM sqlite_schema") == 0;
        if (empty && pragma(database_, "PRAGMA user_version") == 0) {
            database_.execute(create_tables);
        }
        transaction.commit();
    }
    require_known(database_, file);
}

void Catalogue::insert(const Image& image) const
{
    Transaction transaction(database_);
    Statement statement(database_, "INSERT INTO images (id, name, major, minor, patch, architecture, description, "
                                   "owner, manifest, created, state, launch_public, virtual_size, stored_size, recipe) "
                                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    const std::string manifest = image.manifest.to_string();
    const std::string recipe = image.recipe ? image.recipe->to_string() : std::string();
    statement.bind(1, image.id)
        .bind(2, image.name)
        .bind(3, std::int64_t{image.version.major})
        .bind(4, std::int64_t{image.version.minor})
        .bind(5, std::int64_t{image.version.patch})
        .bind(6, image.architecture)
        .bind(7, image.description)
        .bind(8, image.owner)
        .bind(9, manifest)
        .bind(10, image.created)
        .bind(11, name_of(image.state))
        .bind(12, std::int64_t{image.launch_public ? 1 : 0})
        .bind(13, static_cast<std::int64_t>(image.virtual_size.bytes()))
        .bind(14, static_cast<std::int64_t>(image.stored_size.bytes()));
    if (image.recipe) {
        statement.bind(15, recipe);
    } else {
        statement.bind_null(15);
    }
    statement.step();
    transaction.commit();
}

std::vector<Image> Catalogue::images() const
{
    Statement statement(database_,
                        KILN_SELECT_IMAGES "ORDER BY created DESC, major DESC, minor DESC, patch DESC, name, id");
    return all_rows(statement);
}

std::vector<Image> Catalogue::images_named(std::string_view name) const
{
    Statement statement(database_, KILN_SELECT_IMAGES
                        "WHERE name = ? ORDER BY major DESC, minor DESC, patch DESC, architecture DESC");
    statement.bind(1, name);
    return all_rows(statement);
}

std::optional<Image> Catalogue::find_id(std::string_view id) const
{
    Statement statement(database_, KILN_SELECT_IMAGES "WHERE id = ?");
    statement.bind(1, id);
    return first_row(statement);
}

std::optional<Image> Catalogue::find(std::string_view name, const SemanticVersion& version,
                                     std::string_view architecture) const
{
    Statement statement(database_, KILN_SELECT_IMAGES
                        "WHERE name = ? AND major = ? AND minor = ? AND patch = ? AND architecture = ?");
    statement.bind(1, name)
        .bind(2, std::int64_t{version.major})
        .bind(3, std::int64_t{version.minor})
        .bind(4, std::int64_t{version.patch})
        .bind(5, architecture);
    return first_row(statement);
}

} // namespace kiln::registry
