// SPDX-License-Identifier: Apache-2.0
#include "launcher/program.h"

#include "core/error.h"

#include <fmt/format.h>

#include <filesystem>

namespace kiln::launcher
{

std::string supervisor_program()
{
    constexpr const char* name = "kiln-supervisor";
    const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe");
    const std::filesystem::path folder = own.parent_path();
    for (const auto& candidate : {folder / name, folder.parent_path() / "libexec" / "kiln" / name}) {
        if (std::filesystem::exists(candidate)) {
            return candidate;
        }
    }
    throw Error(ErrorKind::missing_tool,
                fmt::format("{} is neither in {} nor in ../libexec/kiln", name, folder.native()),
                "it is built and installed with kiln: install Kiln again");
}

} // namespace kiln::launcher
