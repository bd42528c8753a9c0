// SPDX-License-Identifier: Apache-2.0
#include "registry/catalogue.h"

#include "bundle/field_rules.h"
#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "registry/catalogue_schema.h"
#include "registry/organizations.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

// The columns in the order of image_of().
#define KILN_SELECT_IMAGES                                                                                             \
    "SELECT id, name, major, minor, patch, architecture, description, owner, manifest, created, state, "               \
    "launch_public, virtual_size, stored_size, recipe, holder, launch_accounts, deprecated_at, last_event, "           \
    "launch_organizations FROM images "

#define KILN_NEWEST_FIRST "ORDER BY created DESC, major DESC, minor DESC, patch DESC, name, id"

constexpr std::array stored_states{ImageState::available, ImageState::disabled, ImageState::deregistered};

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
        for (const ImageState state : stored_states) {
            if (text == name_of(state)) {
                return state;
            }
        }
        require(false);
        return ImageState::disabled;
    }
    // Sorted, none twice, separated by single spaces.
    [[nodiscard]] std::vector<std::string> accounts(int column) const
    {
        std::vector<std::string> accounts;
        const std::string text = row_.text(column);
        for (std::size_t at = 0; at < text.size(); at += account_stride) {
            accounts.push_back(text.substr(at, account_stride - 1));
            require(signing::is_account_id(accounts.back()));
        }
        require(join(accounts, " ") == text &&
                std::ranges::adjacent_find(accounts, std::greater_equal<>()) == accounts.end());
        return accounts;
    }
    [[nodiscard]] std::vector<std::string> organizations(int column) const
    {
        std::vector<std::string> names;
        const std::string text = row_.text(column);
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find(' ', at), text.size());
            names.push_back(text.substr(at, end - at));
            require(is_organization_name(names.back()));
            at = end + 1;
        }
        require(join(names, " ") == text && std::ranges::adjacent_find(names, std::greater_equal<>()) == names.end());
        return names;
    }
    static void require(bool holds)
    {
        if (!holds) {
            throw Error(ErrorKind::io, "the catalogue has a damaged entry", "restore catalogue.sqlite from a backup");
        }
    }

private:
    static constexpr std::size_t account_stride = 13; // 12 digits and a space
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
                .recipe = std::nullopt,
                .holder = row.text(15),
                .launch_accounts = reader.accounts(16),
                .deprecated_at = std::nullopt,
                .last_event = row.integer(18),
                .launch_organizations = reader.organizations(19)};
    if (!row.is_null(14)) {
        image.recipe = reader.digest(14);
    }
    if (!row.is_null(17)) {
        image.deprecated_at = row.text(17);
        RowReader::require(bundle::is_time(*image.deprecated_at));
    }
    RowReader::require(is_resource_id("ami-", image.id) && bundle::is_image_name(image.name) &&
                       signing::is_account_id(image.owner) && signing::is_account_id(image.holder) &&
                       image.last_event >= 0);
    if (image.state == ImageState::available && image.deprecated_at && *image.deprecated_at <= iso_now()) {
        image.state = ImageState::deprecated;
    }
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

void bind_or_null(Statement& statement, int index, const std::string* text)
{
    if (text != nullptr) {
        statement.bind(index, *text);
    } else {
        statement.bind_null(index);
    }
}

// The columns that events change, as values of a statement; it lives as long as the statement is used.
class Changeable
{
public:
    struct Places {
        int state, launch_public, accounts, deprecated_at, event, organizations;
    };
    explicit Changeable(const Image& image)
        : image_(image), accounts_(join(image.launch_accounts, " ")),
          organizations_(join(image.launch_organizations, " "))
    {
    }
    void bind(Statement& statement, const Places& places) const
    {
        statement.bind(places.state, name_of(stored_state(image_.state)))
            .bind(places.launch_public, std::int64_t{image_.launch_public ? 1 : 0})
            .bind(places.accounts, accounts_)
            .bind(places.organizations, organizations_)
            .bind(places.event, image_.last_event);
        bind_or_null(statement, places.deprecated_at, image_.deprecated_at ? &*image_.deprecated_at : nullptr);
    }

private:
    const Image& image_;
    std::string accounts_;
    std::string organizations_;
};

std::optional<Image> first_row(Statement& statement)
{
    return statement.step() ? std::optional(image_of(statement)) : std::nullopt;
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
        return "disabled";
    case ImageState::deregistered:
        break;
    }
    return "deregistered";
}

Catalogue::Catalogue(const fs::path& file, Missing missing) : database_(open_database(file, missing))
{
    if (missing == Missing::create) {
        create_catalogue(database_);
    }
    bring_up_to_date(database_, file);
}

void Catalogue::insert(const Image& image, const StoredEvent& event) const
{
    Transaction transaction(database_);
    Statement statement(database_, "INSERT INTO images (id, name, major, minor, patch, architecture, description, "
                                   "owner, manifest, created, state, launch_public, virtual_size, stored_size, recipe, "
                                   "holder, launch_accounts, deprecated_at, last_event, launch_organizations) "
                                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
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
        .bind(13, static_cast<std::int64_t>(image.virtual_size.bytes()))
        .bind(14, static_cast<std::int64_t>(image.stored_size.bytes()))
        .bind(16, image.holder);
    bind_or_null(statement, 15, image.recipe ? &recipe : nullptr);
    const Changeable changeable(image);
    changeable.bind(
        statement,
        {.state = 11, .launch_public = 12, .accounts = 17, .deprecated_at = 18, .event = 19, .organizations = 20});
    statement.step();
    insert_facts(image);
    append(event);
    transaction.commit();
}

void Catalogue::update(const Image& image, const StoredEvent& event, const std::optional<ChannelChange>& channel) const
{
    Transaction transaction(database_);
    Statement statement(database_, "UPDATE images SET state = ?, launch_public = ?, launch_accounts = ?, "
                                   "deprecated_at = ?, last_event = ?, launch_organizations = ? WHERE id = ?");
    const Changeable changeable(image);
    changeable.bind(
        statement, {.state = 1, .launch_public = 2, .accounts = 3, .deprecated_at = 4, .event = 5, .organizations = 6});
    statement.bind(7, image.id).step();
    append(event);
    if (channel && channel->leave) {
        Statement leave(database_, "DELETE FROM channels WHERE name = ? AND channel = ? AND image = ?");
        leave.bind(1, image.name).bind(2, channel->channel).bind(3, image.id).step();
    } else if (channel) {
        Statement take(database_, "INSERT OR REPLACE INTO channels (name, channel, image, event) VALUES (?, ?, ?, ?)");
        take.bind(1, image.name).bind(2, channel->channel).bind(3, image.id).bind(4, event.number).step();
    }
    transaction.commit();
}

std::vector<Image> Catalogue::images() const
{
    Statement statement(database_, KILN_SELECT_IMAGES "WHERE state <> 'deregistered' " KILN_NEWEST_FIRST);
    return all_rows(statement);
}

std::vector<Image> Catalogue::images(const ImageQuery& query) const
{
    const SqlCondition condition = condition_of(query);
    Statement statement(database_, fmt::format(KILN_SELECT_IMAGES "WHERE {} " KILN_NEWEST_FIRST, condition.sql));
    for (std::size_t i = 0; i < condition.values.size(); ++i) {
        statement.bind(static_cast<int>(i) + 1, condition.values[i]);
    }
    return all_rows(statement);
}

std::optional<std::uint32_t> Catalogue::highest_patch(std::string_view name, std::uint32_t major, std::uint32_t minor,
                                                      std::string_view architecture) const
{
    Statement statement(database_, "SELECT max(patch) FROM images WHERE name = ? AND major = ? AND minor = ? AND "
                                   "architecture = ?");
    statement.bind(1, name).bind(2, std::int64_t{major}).bind(3, std::int64_t{minor}).bind(4, architecture);
    if (!statement.step() || statement.is_null(0)) {
        return std::nullopt;
    }
    return RowReader(statement).number(0);
}

std::vector<Image> Catalogue::without_facts() const
{
    Statement statement(database_, KILN_SELECT_IMAGES
                        "WHERE NOT EXISTS (SELECT 1 FROM facts WHERE image = images.id AND key = 'source')");
    return all_rows(statement);
}

void Catalogue::add_facts(const std::vector<Image>& images) const
{
    Transaction transaction(database_);
    for (const Image& image : images) {
        insert_facts(image);
    }
    transaction.commit();
}

void Catalogue::insert_facts(const Image& image) const
{
    for (const auto& [key, value] : image.facts) {
        Statement statement(database_, "INSERT OR REPLACE INTO facts (image, key, value) VALUES (?, ?, ?)");
        statement.bind(1, image.id).bind(2, key).bind(3, value).step();
    }
}

std::vector<Image> Catalogue::all_images() const
{
    Statement statement(database_, KILN_SELECT_IMAGES KILN_NEWEST_FIRST);
    return all_rows(statement);
}

std::vector<Image> Catalogue::images_named(std::string_view name) const
{
    Statement statement(
        database_, KILN_SELECT_IMAGES
        "WHERE name = ? AND state <> 'deregistered' ORDER BY major DESC, minor DESC, patch DESC, architecture DESC");
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
