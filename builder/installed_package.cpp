// SPDX-License-Identifier: Apache-2.0
#include "builder/installed_package.h"

#include "core/error.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace kiln::builder
{
namespace
{
constexpr std::string_view what = "a list of installed packages";
}

Json to_json(const std::vector<InstalledPackage>& packages)
{
    std::vector<InstalledPackage> sorted = packages;
    std::ranges::sort(sorted, {},
                      [](const InstalledPackage& p) { return std::tie(p.name, p.architecture, p.version); });
    Json list = Json::array();
    for (const InstalledPackage& package : sorted) {
        list.push_back({{"name", package.name},
                        {"version", package.version},
                        {"architecture", package.architecture},
                        {"sha256", package.sha256 ? Json(package.sha256->hex()) : Json(nullptr)},
                        {"uri", package.uri}});
    }
    return list;
}

std::vector<InstalledPackage> installed_packages_from_json(const Json& json)
{
    if (!json.is_array()) {
        throw Error(ErrorKind::io, fmt::format("{} is not a list", what));
    }
    std::vector<InstalledPackage> packages;
    for (const Json& entry : json) {
        std::optional<Digest> sha256;
        if (!member(entry, "sha256", what).is_null()) {
            sha256 = Digest::parse("sha256:" + string_member(entry, "sha256", what));
            if (!sha256) {
                throw Error(ErrorKind::io, fmt::format("{}: \"sha256\" is not a digest", what));
            }
        }
        packages.push_back({string_member(entry, "name", what), string_member(entry, "version", what),
                            string_member(entry, "architecture", what), sha256, string_member(entry, "uri", what)});
    }
    return packages;
}

} // namespace kiln::builder
