// SPDX-License-Identifier: Apache-2.0
// The archives that a guest's apt is set up for (sources.list(5): one-line and deb822 style), read as hostile
// text: only signed archives over HTTP come out of it, and what was left out is said.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

struct AptSource {
    std::vector<std::string> uris{};       // http, https, mirror+http, mirror+https
    std::vector<std::string> suites{};     // "bookworm", or "./" for a flat archive
    std::vector<std::string> components{}; // none for a flat archive
    std::vector<std::string> signed_by{};  // paths in the guest, or fingerprints
    std::string key{};                     // ASCII-armoured, where it stands in the source itself
    bool check_valid_until = true;         // false for an archive of the past, as snapshot.debian.org
};

struct AptSources {
    std::vector<AptSource> sources{};
    std::vector<std::string> ignored{}; // "/etc/apt/sources.list:3: file: is no network archive"
};

// Adds what `text`, the content of `file`, has for binary packages of `architecture` to `sources`. Lines that
// apt would reject, and all that weakens the check of signatures, are left out and noted.
void read_sources_list(std::string_view text, std::string_view file, std::string_view architecture,
                       AptSources& sources);
void read_deb822_sources(std::string_view text, std::string_view file, std::string_view architecture,
                         AptSources& sources);

// The text of a deb822 file; `signed_by` is written as it stands.
[[nodiscard]] std::string to_deb822(const AptSource& source);

} // namespace kiln::builder
