// SPDX-License-Identifier: Apache-2.0
#include "builder/apt_failure.h"

#include "core/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regex>
#include <set>

namespace kiln::builder
{
namespace
{

template <std::size_t count> bool has_any(std::string_view text, const std::array<std::string_view, count>& parts)
{
    return std::ranges::any_of(parts, [&](std::string_view part) { return text.find(part) != text.npos; });
}

// Every first group of `pattern` in `log`, sorted and without repeats.
std::set<std::string> all_matches(const std::string& log, const std::regex& pattern)
{
    std::set<std::string> found;
    for (auto match = std::sregex_iterator(log.begin(), log.end(), pattern); match != std::sregex_iterator(); ++match) {
        found.insert((*match)[1]);
    }
    return found;
}

std::set<std::string> missing_packages(const std::string& log)
{
    static const std::regex unknown(
        "E: (?:Unable to locate package|Couldn't find any package by (?:glob|regex)) '?([^\\s']+)'?");
    static const std::regex candidate("E: Package '([^']+)' has no installation candidate");
    std::set<std::string> absent = all_matches(log, unknown);
    absent.merge(all_matches(log, candidate));
    return absent;
}

// "name=version" where apt knew the package and not the version.
std::set<std::string> missing_versions(const std::string& log)
{
    static const std::regex pattern("E: Version '([^']+)' for '([^']+)' was not found");
    std::set<std::string> found;
    for (auto match = std::sregex_iterator(log.begin(), log.end(), pattern); match != std::sregex_iterator(); ++match) {
        found.insert(fmt::format("{}={}", (*match)[2].str(), (*match)[1].str()));
    }
    return found;
}

} // namespace

Error explain_apt_failure(std::string_view log_text, const AptSubject& subject)
{
    constexpr std::array<std::string_view, 8> offline = {
        "Temporary failure resolving", "Could not connect to", "Could not resolve",      "Unable to connect to",
        "Connection failed",           "Connection timed out", "Network is unreachable", "Could not wait for server"};
    constexpr std::array<std::string_view, 4> unsigned_archive = {"is not signed", "NO_PUBKEY", "invalid signatures",
                                                                  "EXPKEYSIG"};
    constexpr std::array<std::string_view, 3> undelivered = {"Failed to fetch", "does not have a Release file",
                                                             "Some index files failed to download"};
    const std::string log = printable(log_text);
    if (log.find("No space left on device") != log.npos) {
        return {ErrorKind::no_space, "the disk became full while packages were unpacked",
                "free some space in TMPDIR (default /tmp), or set TMPDIR to a larger file system"};
    }
    if (has_any(log, offline)) {
        return {
            ErrorKind::network,
            fmt::format("the package archive{} can't be reached", subject.mirror.empty() ? "" : " " + subject.mirror),
            subject.network_hint};
    }
    if (has_any(log, unsigned_archive)) {
        return {ErrorKind::package, "the archive is not signed by a key that the image trusts: " + tail_lines(log, 4),
                "put its key in the `key` of the apt source; unsigned archives are never used"};
    }
    if (const auto versions = missing_versions(log); !versions.empty()) {
        return {ErrorKind::package, fmt::format("{} has no {}", subject.archive, fmt::join(versions, ", ")),
                "`apt-cache policy NAME` shows the versions that there are; a lock file is renewed by `--lock`"};
    }
    if (const auto absent = missing_packages(log); !absent.empty()) {
        return {ErrorKind::package, fmt::format("{} has no package {}", subject.archive, fmt::join(absent, ", ")),
                subject.package_hint};
    }
    if (has_any(log, undelivered)) {
        return {ErrorKind::network, "the package archive has no such suite, or did not deliver: " + tail_lines(log, 3),
                subject.network_hint};
    }
    return {ErrorKind::package, "the packages could not be installed: " + tail_lines(log, 6), subject.package_hint};
}

Error explain_dpkg_failure(std::string_view log_text)
{
    const std::string log = printable(log_text);
    if (log.find("No space left on device") != log.npos) {
        return {ErrorKind::no_space, "the volume became full while packages were unpacked",
                "raise storage.size in the recipe, or install fewer packages"};
    }
    static const std::regex failed("dpkg: error processing (?:package|archive) (\\S+)");
    static const std::regex absent("dpkg-query: no packages found matching (\\S+)");
    if (const auto names = all_matches(log, absent); !names.empty()) {
        return {ErrorKind::package, fmt::format("{} can't be held: it is not installed", fmt::join(names, ", ")),
                "add it to `packages` of the step"};
    }
    const auto names = all_matches(log, failed);
    return {ErrorKind::package,
            fmt::format("{} could not be installed: {}",
                        names.empty() ? "the packages" : fmt::format("{}", fmt::join(names, ", ")), tail_lines(log, 8)),
            "the step's log has all that dpkg printed"};
}

} // namespace kiln::builder
