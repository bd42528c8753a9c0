// SPDX-License-Identifier: Apache-2.0
#include "builder/software.h"

#include "core/error.h"
#include "core/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <string>

namespace kiln::builder
{
namespace
{

std::string unquoted(std::string_view value)
{
    const bool quoted =
        value.size() >= 2 && value.front() == value.back() && (value.front() == '"' || value.front() == '\'');
    return printable(quoted ? value.substr(1, value.size() - 2) : value, false);
}

} // namespace

OperatingSystem parse_os_release(std::string_view text)
{
    std::map<std::string_view, std::string> values;
    while (!text.empty()) {
        const std::string_view line = next_line(text);
        const std::size_t equals = line.find('=');
        if (equals != line.npos) {
            values[line.substr(0, equals)] = unquoted(line.substr(equals + 1));
        }
    }
    if (values["ID"].empty()) {
        throw Error(ErrorKind::step_failed, "the image's /etc/os-release has no ID");
    }
    return {values["ID"], values["VERSION_ID"], values["PRETTY_NAME"]};
}

std::vector<Package> parse_dpkg_status(std::string_view text)
{
    std::vector<Package> packages;
    std::map<std::string_view, std::string_view> fields;
    const auto end_paragraph = [&] {
        if (fields["Status"].ends_with(" ok installed")) {
            packages.push_back({printable(fields["Package"], false), printable(fields["Version"], false),
                                printable(fields["Architecture"], false)});
        }
        fields.clear();
    };
    while (!text.empty()) {
        const std::string_view line = next_line(text);
        if (line.empty()) {
            end_paragraph();
            continue;
        }
        const std::size_t colon = line.find(": ");
        if (line.front() != ' ' && colon != line.npos) {
            fields[line.substr(0, colon)] = line.substr(colon + 2);
        }
    }
    end_paragraph();
    std::ranges::sort(packages, {}, [](const Package& p) { return std::tie(p.name, p.architecture); });
    return packages;
}

Software read_software(Appliance& appliance)
{
    return {parse_os_release(appliance.read_file("/etc/os-release")),
            parse_dpkg_status(appliance.read_file("/var/lib/dpkg/status"))};
}

Json to_json(const Software& software)
{
    Json packages = Json::array();
    for (const Package& package : software.packages) {
        packages.push_back(
            {{"name", package.name}, {"version", package.version}, {"architecture", package.architecture}});
    }
    return {{"distribution", software.os.distribution},
            {"version", software.os.version},
            {"name", software.os.name},
            {"packages", std::move(packages)}};
}

Software software_from_json(const Json& json)
{
    constexpr std::string_view what = "the software of a cached layer";
    Software software{.os = {string_member(json, "distribution", what), string_member(json, "version", what),
                             string_member(json, "name", what)},
                      .packages = {}};
    for (const Json& package : member(json, "packages", what)) {
        software.packages.push_back({string_member(package, "name", what), string_member(package, "version", what),
                                     string_member(package, "architecture", what)});
    }
    return software;
}

} // namespace kiln::builder
