// SPDX-License-Identifier: Apache-2.0
// The table of images of one region (SQLite, rollback journal). Private to registry/. Its version is
// in PRAGMA user_version; a newer one is refused. Safe for many processes at once.
#pragma once

#include "registry/region.h"
#include "registry/sqlite.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

class Catalogue
{
public:
    enum class Missing { create, refuse };
    // Throws Error{io} for a newer version, for a database that is not a catalogue, and with
    // Missing::refuse for one that is missing or empty: a region without its catalogue is damaged.
    Catalogue(const std::filesystem::path& file, Missing missing);

    // Durable when it returns. Throws Error{conflict} when the id, or name, version and
    // architecture, are taken.
    void insert(const Image& image) const;

    [[nodiscard]] std::vector<Image> images() const;                            // newest first
    [[nodiscard]] std::vector<Image> images_named(std::string_view name) const; // highest version first
    [[nodiscard]] std::optional<Image> find_id(std::string_view id) const;
    [[nodiscard]] std::optional<Image> find(std::string_view name, const SemanticVersion& version,
                                            std::string_view architecture) const;

private:
    Database database_;
};

} // namespace kiln::registry
