// SPDX-License-Identifier: Apache-2.0
// The table of images of one region and its events (SQLite, rollback journal). Private to registry/. Its version is
// in PRAGMA user_version; a newer one is refused. Safe for many processes at once; who writes holds the region's lock.
#pragma once

#include "registry/region.h"
#include "registry/sqlite.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

// An event as it is stored: unverified, and number and image are only what the row says.
struct StoredEvent {
    std::int64_t number = 0;
    std::string image;
    std::string envelope;
};

// Which image has a channel, and the event that says so.
struct ChannelRow {
    std::string image;
    std::int64_t event = 0;
};

class Catalogue
{
public:
    enum class Missing { create, refuse };
    // Throws Error{io} for a newer version, for a database that is not a catalogue, and with
    // Missing::refuse for one that is missing or empty: a region without its catalogue is damaged.
    Catalogue(const std::filesystem::path& file, Missing missing);

    // The row and the event that explains it, in one transaction; durable when it returns. Throws Error{conflict} when
    // the id, or name, version and architecture, are taken.
    void insert(const Image& image, const StoredEvent& event) const;

    struct ChannelChange {
        std::string channel; // of the image's name
        bool leave = false;  // else the image gets it
    };
    // The same for what changed of an image that is there.
    void update(const Image& image, const StoredEvent& event, const std::optional<ChannelChange>& channel) const;

    // All but the deregistered ones.
    [[nodiscard]] std::vector<Image> images() const;                            // newest first
    [[nodiscard]] std::vector<Image> images_named(std::string_view name) const; // highest version first
    [[nodiscard]] std::vector<Image> images(const ImageQuery& query) const;     // newest first
    // Also deregistered ones.
    [[nodiscard]] std::vector<Image> all_images() const;
    [[nodiscard]] std::optional<std::uint32_t> highest_patch(std::string_view name, std::uint32_t major,
                                                             std::uint32_t minor, std::string_view architecture) const;
    // Images that were registered before there were facts; and theirs.
    [[nodiscard]] std::vector<Image> without_facts() const;
    void add_facts(const std::vector<Image>& images) const;
    [[nodiscard]] std::optional<Image> find_id(std::string_view id) const;
    [[nodiscard]] std::optional<Image> find(std::string_view name, const SemanticVersion& version,
                                            std::string_view architecture) const;

    [[nodiscard]] std::optional<StoredEvent> find_event(std::int64_t number) const;
    [[nodiscard]] std::optional<StoredEvent> last_event() const;
    // The events behind `number`, in order. `visit` must not write to the catalogue.
    void each_event_after(std::int64_t number, const std::function<void(const StoredEvent&)>& visit) const;

    // An image and its events at one moment.
    struct Record {
        Image image;
        std::vector<StoredEvent> events;
    };
    [[nodiscard]] std::optional<Record> find_record(std::string_view id) const;

    [[nodiscard]] std::optional<ChannelRow> find_channel(std::string_view name, std::string_view channel) const;
    [[nodiscard]] std::vector<std::string> channels_of(std::string_view id) const;

    // What SQLite finds wrong with the file, and with rows against their rules; empty when it is whole.
    [[nodiscard]] std::vector<std::string> damage() const;

private:
    void append(const StoredEvent& event) const;
    void insert_facts(const Image& image) const;

    Database database_;
};

} // namespace kiln::registry
