// SPDX-License-Identifier: Apache-2.0
#include "bundle/drift.h"

#include "core/text.h"

#include <algorithm>

namespace kiln::bundle
{
namespace
{

constexpr std::size_t longest_path = 4'096;
constexpr std::size_t longest_word = 256;
constexpr std::size_t most_entries = 100'000;

Json text_or_null(const std::string& text)
{
    return text.empty() ? Json(nullptr) : Json(text);
}

std::vector<std::string> read_strings(ObjectReader& reader, const std::string& key, std::size_t longest)
{
    std::vector<std::string> strings;
    for (const Json& one : reader.array(key, most_entries)) {
        if (!one.is_string() || one.get_ref<const std::string&>().size() > longest ||
            printable(one.get_ref<const std::string&>(), false) != one.get_ref<const std::string&>()) {
            reader.refuse(key, "has something that is no plain text, or a long one");
        }
        strings.push_back(one.get<std::string>());
    }
    return strings;
}

// Cut at a character.
std::string fitted(std::string_view text, std::size_t longest)
{
    std::string shown = printable(text, false);
    if (shown.size() > longest) {
        std::size_t end = longest;
        while (end > 0 && (static_cast<unsigned char>(shown[end]) & 0xc0U) == 0x80U) {
            --end;
        }
        shown.resize(end);
    }
    return shown;
}

// Returns how many did not fit.
std::int64_t fit(std::vector<std::string>& list, std::size_t longest)
{
    const std::size_t all = list.size();
    list.resize(std::min(all, drift_files));
    for (std::string& text : list) {
        text = fitted(text, longest);
    }
    return static_cast<std::int64_t>(all - list.size());
}

} // namespace

Drift fitted(Drift drift)
{
    drift.packages.resize(std::min(drift.packages.size(), drift_files));
    for (DriftPackage& package : drift.packages) {
        for (std::string* word : {&package.name, &package.architecture, &package.from, &package.to}) {
            *word = fitted(*word, longest_word);
        }
    }
    for (auto* paths : {&drift.files_added, &drift.files_removed, &drift.files_changed}) {
        drift.files_omitted += fit(*paths, longest_path);
    }
    for (auto* words : {&drift.users_added, &drift.users_removed, &drift.services_enabled, &drift.services_disabled}) {
        fit(*words, longest_word);
    }
    return drift;
}

Json to_json(const Drift& drift)
{
    Json packages = Json::array();
    for (const DriftPackage& package : drift.packages) {
        packages.push_back({{"name", package.name},
                            {"architecture", package.architecture},
                            {"from", text_or_null(package.from)},
                            {"to", text_or_null(package.to)}});
    }
    return {{"packages", std::move(packages)},
            {"files_added", drift.files_added},
            {"files_removed", drift.files_removed},
            {"files_changed", drift.files_changed},
            {"files_omitted", drift.files_omitted},
            {"users_added", drift.users_added},
            {"users_removed", drift.users_removed},
            {"services_enabled", drift.services_enabled},
            {"services_disabled", drift.services_disabled},
            {"size_change", drift.size_change}};
}

Drift read_drift(ObjectReader reader)
{
    Drift drift;
    const std::size_t packages = reader.array("packages", most_entries).size();
    for (std::size_t i = 0; i < packages; ++i) {
        ObjectReader one = reader.element("packages", i);
        drift.packages.push_back({.name = one.string("name", longest_word),
                                  .architecture = one.string("architecture", longest_word),
                                  .from = one.string_or_null("from", longest_word).value_or(""),
                                  .to = one.string_or_null("to", longest_word).value_or("")});
        one.finish();
    }
    drift.files_added = read_strings(reader, "files_added", longest_path);
    drift.files_removed = read_strings(reader, "files_removed", longest_path);
    drift.files_changed = read_strings(reader, "files_changed", longest_path);
    constexpr std::int64_t most = std::int64_t{1} << 50U;
    drift.files_omitted = reader.integer("files_omitted", 0, most);
    drift.users_added = read_strings(reader, "users_added", longest_word);
    drift.users_removed = read_strings(reader, "users_removed", longest_word);
    drift.services_enabled = read_strings(reader, "services_enabled", longest_word);
    drift.services_disabled = read_strings(reader, "services_disabled", longest_word);
    drift.size_change = reader.integer("size_change", -most, most);
    reader.finish();
    return drift;
}

} // namespace kiln::bundle
