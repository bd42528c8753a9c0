// SPDX-License-Identifier: Apache-2.0
#include "builder/apt_output.h"

#include "core/error.h"
#include "core/text.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <regex>

namespace kiln::builder
{
namespace
{

Error not_understood(std::string_view line)
{
    return {ErrorKind::package,
            fmt::format("apt printed a line that is not understood: {}", printable(line.substr(0, 300), false))};
}

// "%3a" -> ":"; apt writes ':', '_' and '%' so in the parts of a file's name.
std::string unquoted(std::string_view part)
{
    std::string text;
    for (std::size_t i = 0; i < part.size(); ++i) {
        unsigned int byte = 0;
        if (part[i] == '%' && i + 2 < part.size() &&
            std::from_chars(part.data() + i + 1, part.data() + i + 3, byte, 16).ptr == part.data() + i + 3) {
            text += static_cast<char>(byte);
            i += 2;
        } else {
            text += part[i];
        }
    }
    return text;
}

AptDownload parse_download(std::string_view line)
{
    static const std::regex format("'([^' ]{1,2000})' ([A-Za-z0-9][A-Za-z0-9.+~%-]*)_([A-Za-z0-9.+~%-]+)_([a-z0-9-]+)"
                                   "\\.deb ([0-9]{1,12}) SHA256:([0-9a-f]{64})");
    std::cmatch match;
    if (!std::regex_match(line.data(), line.data() + line.size(), match, format)) {
        throw not_understood(line);
    }
    return {.package = {.name = unquoted(match[2].str()),
                        .version = unquoted(match[3].str()),
                        .architecture = match[4],
                        .sha256 = Digest::parse("sha256:" + match[6].str()),
                        .uri = match[1]},
            .file = fmt::format("{}_{}_{}.deb", match[2].str(), match[3].str(), match[4].str()),
            .size = ByteSize(std::stoull(match[5]))};
}

// Inst NAME [OLD] (NEW ORIGIN... [ARCH]) ...
AptAction parse_action(std::string_view line)
{
    static const std::regex format("(Inst|Conf|Remv|Purg) ([a-z0-9][a-z0-9.+-]*(?::[a-z0-9-]+)?)( \\[[^\\] ]*\\])?"
                                   "(?: \\(([A-Za-z0-9.+~:-]+)[ )].*)?(?: .*)?");
    std::cmatch match;
    if (line.size() > 4000 || !std::regex_match(line.data(), line.data() + line.size(), match, format)) {
        throw not_understood(line);
    }
    const std::string word = match[1];
    AptAction action{.package = match[2], .version = match[4], .is_new = word == "Inst" && !match[3].matched};
    action.kind = word == "Inst"   ? AptAction::Kind::unpack
                  : word == "Conf" ? AptAction::Kind::configure
                                   : AptAction::Kind::remove;
    if (action.kind == AptAction::Kind::unpack && action.version.empty()) {
        throw not_understood(line);
    }
    return action;
}

} // namespace

std::vector<AptAction> parse_simulation(std::string_view output)
{
    std::vector<AptAction> actions;
    while (!output.empty()) {
        const std::string_view line = next_line(output);
        if (line.starts_with("Inst ") || line.starts_with("Conf ") || line.starts_with("Remv ") ||
            line.starts_with("Purg ")) {
            actions.push_back(parse_action(line));
        }
    }
    return actions;
}

std::vector<AptDownload> parse_print_uris(std::string_view output)
{
    std::vector<AptDownload> downloads;
    while (!output.empty()) {
        const std::string_view line = next_line(output);
        if (line.starts_with('\'')) {
            downloads.push_back(parse_download(line));
        }
    }
    return downloads;
}

const AptDownload& download_for(const AptAction& action, const std::vector<AptDownload>& downloads)
{
    const std::size_t colon = action.package.find(':');
    const std::string name = action.package.substr(0, colon);
    const std::string architecture = colon == action.package.npos ? "" : action.package.substr(colon + 1);
    const auto found = std::ranges::find_if(downloads, [&](const AptDownload& download) {
        return download.package.name == name && download.package.version == action.version &&
               (architecture.empty() || download.package.architecture == architecture);
    });
    if (found == downloads.end()) {
        throw Error(ErrorKind::package,
                    fmt::format("no archive offers the file of {} {}", action.package, action.version));
    }
    return *found;
}

std::vector<AptCall> group_actions(const std::vector<AptAction>& actions)
{
    std::vector<AptCall> calls;
    for (const AptAction& action : actions) {
        if (calls.empty() || calls.back().kind != action.kind) {
            calls.push_back({action.kind, {}});
        }
        calls.back().actions.push_back(action);
    }
    return calls;
}

} // namespace kiln::builder
