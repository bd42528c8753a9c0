// SPDX-License-Identifier: Apache-2.0
// Where Kiln keeps things. Everything hangs off one folder: $KILN_HOME, else $XDG_DATA_HOME/kiln,
// else ~/.local/share/kiln; the run folder is short because a UNIX socket's path has 108 bytes.
#pragma once

#include <filesystem>
#include <string>

namespace kiln
{

struct Paths {
    std::filesystem::path home;      // 0700
    std::filesystem::path account;   // the account's key and number
    std::filesystem::path trust;     // public keys of trusted accounts
    std::filesystem::path regions;   // a registry each
    std::filesystem::path instances; // a folder each
    std::filesystem::path work;      // builds and snapshots under way
    std::filesystem::path cache;     // verdicts that can be found anew
    std::filesystem::path run;       // sockets: $XDG_RUNTIME_DIR/kiln-XXXXXXXX or /tmp/kiln-UID-XXXXXXXX
};

// From the environment; creates nothing. Throws Error{usage} when no home can be told.
[[nodiscard]] Paths paths_from_environment();

// The folder with Kiln's own data files (instance types): $KILN_DATA_DIR, else the installed one,
// else the source tree's. Throws Error{missing_tool}.
[[nodiscard]] std::filesystem::path find_data_file(const std::string& name);

} // namespace kiln
