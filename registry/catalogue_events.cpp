// SPDX-License-Identifier: Apache-2.0
// The catalogue's events and channels, by number and by image.
#include "core/error.h"
#include "registry/catalogue.h"

namespace kiln::registry
{
namespace
{

#define KILN_SELECT_EVENTS "SELECT number, image, envelope FROM events "

StoredEvent event_of(const Statement& row)
{
    return {.number = row.integer(0), .image = row.text(1), .envelope = row.text(2)};
}

std::optional<StoredEvent> first_event(Statement& statement)
{
    return statement.step() ? std::optional(event_of(statement)) : std::nullopt;
}

} // namespace

void Catalogue::append(const StoredEvent& event) const
{
    Statement statement(database_, "INSERT INTO events (number, image, envelope) VALUES (?, ?, ?)");
    statement.bind(1, event.number).bind(2, event.image).bind(3, event.envelope).step();
}

std::optional<StoredEvent> Catalogue::find_event(std::int64_t number) const
{
    Statement statement(database_, KILN_SELECT_EVENTS "WHERE number = ?");
    statement.bind(1, number);
    return first_event(statement);
}

std::optional<StoredEvent> Catalogue::last_event() const
{
    Statement statement(database_, KILN_SELECT_EVENTS "ORDER BY number DESC LIMIT 1");
    return first_event(statement);
}

void Catalogue::each_event_after(std::int64_t number, const std::function<void(const StoredEvent&)>& visit) const
{
    Statement statement(database_, KILN_SELECT_EVENTS "WHERE number > ? ORDER BY number");
    statement.bind(1, number);
    while (statement.step()) {
        visit(event_of(statement));
    }
}

std::optional<Catalogue::Record> Catalogue::find_record(std::string_view id) const
{
    Transaction transaction(database_, Transaction::Access::read);
    auto image = find_id(id);
    if (!image) {
        return std::nullopt;
    }
    Record record{*std::move(image), {}};
    {
        Statement statement(database_, KILN_SELECT_EVENTS "WHERE image = ? ORDER BY number");
        statement.bind(1, id);
        while (statement.step()) {
            record.events.push_back(event_of(statement));
        }
    }
    transaction.commit();
    return record;
}

std::optional<ChannelRow> Catalogue::find_channel(std::string_view name, std::string_view channel) const
{
    Statement statement(database_, "SELECT image, event FROM channels WHERE name = ? AND channel = ?");
    statement.bind(1, name).bind(2, channel);
    return statement.step() ? std::optional(ChannelRow{statement.text(0), statement.integer(1)}) : std::nullopt;
}

std::vector<std::string> Catalogue::channels_of(std::string_view id) const
{
    Statement statement(database_, "SELECT channel FROM channels WHERE image = ? ORDER BY channel");
    statement.bind(1, id);
    std::vector<std::string> channels;
    while (statement.step()) {
        channels.push_back(statement.text(0));
    }
    return channels;
}

std::vector<std::string> Catalogue::damage() const
{
    std::vector<std::string> damage;
    Statement statement(database_, "PRAGMA integrity_check(20)");
    while (statement.step()) {
        if (const std::string line = statement.text(0); line != "ok") {
            damage.push_back(line);
        }
    }
    return damage;
}

} // namespace kiln::registry
