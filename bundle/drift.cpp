// SPDX-License-Identifier: Apache-2.0
#include "bundle/drift.h"

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
        if (!one.is_string() || one.get_ref<const std::string&>().size() > longest) {
            reader.refuse(key, "has something that is no string, or a long one");
        }
        strings.push_back(one.get<std::string>());
    }
    return strings;
}

} // namespace

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
