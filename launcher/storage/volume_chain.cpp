// SPDX-License-Identifier: Apache-2.0
#include "launcher/storage/volume_chain.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr int chain_schema = 1;

fs::path chain_file(const VolumePaths& paths)
{
    return paths.folder / "chain.json";
}

// "disk.12.qcow2"
bool is_overlay_name(std::string_view name)
{
    constexpr std::string_view begin = "disk.";
    constexpr std::string_view end = ".qcow2";
    if (!name.starts_with(begin) || !name.ends_with(end) || name.size() <= begin.size() + end.size()) {
        return false;
    }
    return std::ranges::all_of(name.substr(begin.size(), name.size() - begin.size() - end.size()),
                               [](char c) { return c >= '0' && c <= '9'; });
}

} // namespace

std::vector<fs::path> volume_chain(const VolumePaths& paths)
{
    std::vector<fs::path> files{paths.disk};
    const fs::path record = chain_file(paths);
    if (!fs::exists(record)) {
        return files;
    }
    const Json json = parse_json(read_file(record, mebibytes(1)), record.native());
    const Json& overlays = member(json, "overlays", record.native());
    const bool sound = integer_member(json, "schema", record.native()) == chain_schema && overlays.is_array() &&
                       std::ranges::all_of(overlays, [](const Json& name) {
                           return name.is_string() && is_overlay_name(name.get<std::string>());
                       });
    if (!sound) {
        throw Error(ErrorKind::damaged, fmt::format("{} is no list of a volume's overlays", record.native()));
    }
    for (const Json& name : overlays) {
        files.push_back(paths.folder / name.get<std::string>());
    }
    return files;
}

void save_volume_chain(const VolumePaths& paths, const std::vector<fs::path>& files)
{
    Json overlays = Json::array();
    for (std::size_t i = 1; i < files.size(); ++i) {
        overlays.push_back(files[i].filename().native());
    }
    write_file_durably(chain_file(paths), Json{{"schema", chain_schema}, {"overlays", overlays}}.dump(2) + "\n", 0600);
}

} // namespace kiln::launcher
