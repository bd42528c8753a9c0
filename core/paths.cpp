// SPDX-License-Identifier: Apache-2.0
#include "core/paths.h"

#include "core/digest.h"
#include "core/error.h"

#include <fmt/format.h>

#include <cstdlib>
#include <unistd.h>

namespace kiln
{
namespace fs = std::filesystem;
namespace
{

// A set, absolute path; the XDG specification says that relative ones are to be ignored.
fs::path from_environment(const char* name)
{
    const char* value = std::getenv(name);
    const fs::path path = value != nullptr ? value : "";
    return path.is_absolute() ? path : fs::path();
}

fs::path find_home()
{
    if (const char* given = std::getenv("KILN_HOME"); given != nullptr && *given != '\0') {
        return fs::absolute(given).lexically_normal();
    }
    if (const fs::path data = from_environment("XDG_DATA_HOME"); !data.empty()) {
        return data / "kiln";
    }
    if (const fs::path home = from_environment("HOME"); !home.empty()) {
        return home / ".local/share/kiln";
    }
    throw Error(ErrorKind::usage, "there is no home folder to keep images in", "set KILN_HOME to a folder");
}

} // namespace

Paths paths_from_environment()
{
    Paths paths;
    paths.home = find_home();
    paths.account = paths.home / "account";
    paths.trust = paths.home / "trust";
    paths.regions = paths.home / "regions";
    paths.instances = paths.home / "instances";
    paths.work = paths.home / "work";
    paths.cache = paths.home / "cache";
    // Two homes must not share sockets, so the home's name is part of the folder's.
    const std::string tag = digest_of(paths.home.native()).hex().substr(0, 8);
    const fs::path runtime = from_environment("XDG_RUNTIME_DIR");
    paths.run = runtime.empty() || runtime.native().size() > 40
                    ? fs::path(fmt::format("/tmp/kiln-{}-{}", ::getuid(), tag))
                    : runtime / fmt::format("kiln-{}", tag);
    return paths;
}

fs::path find_data_file(const std::string& name)
{
    const fs::path source = KILN_SOURCE_DIR;
    fs::path folders[] = {from_environment("KILN_DATA_DIR"), KILN_INSTALLED_DATA_DIR, source / "launcher",
                          source / "recipes"};
    for (const fs::path& folder : folders) {
        if (!folder.empty() && fs::exists(folder / name)) {
            return folder / name;
        }
    }
    throw Error(ErrorKind::missing_tool, fmt::format("Kiln's data file {} is missing", name),
                "install Kiln again, or set KILN_DATA_DIR to the folder that has it");
}

} // namespace kiln
