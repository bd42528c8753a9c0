// SPDX-License-Identifier: Apache-2.0
// The program `kiln-supervisor`: an instance's processes, which `kiln` starts. Not for people: an error goes to the log
// of the process.
//
//     kiln-supervisor supervise i-...
//     kiln-supervisor serve-network i-...
//     kiln-supervisor serve-vpc vpc-... | --try
//     kiln-supervisor qemu-command i-...              prints what its QEMU was started with
#include "core/error.h"
#include "core/interrupt.h"
#include "core/paths.h"
#include "core/text.h"
#include "launcher/launch.h"
#include "launcher/vpc/vpc_holder.h"

#include <fmt/format.h>

#include <exception>
#include <linux/close_range.h>
#include <string>
#include <string_view>
#include <unistd.h>

namespace
{

int work(std::string_view what, const std::string& id)
{
    using namespace kiln;
    const Paths paths = paths_from_environment();
    if (what == "supervise") {
        return launcher::supervise(paths, id);
    }
    if (what == "serve-network") {
        return launcher::serve_network(paths, id);
    }
    if (what == "qemu-command") {
        return launcher::print_qemu_command(paths, id);
    }
    if (what == "serve-vpc" && id == "--try") {
        launcher::try_vpc(paths);
        return 0;
    }
    if (what == "serve-vpc") {
        return launcher::serve_vpc(paths, id);
    }
    throw Error(ErrorKind::usage, fmt::format("{} is nothing that it does", what), "`kiln run` starts it");
}

} // namespace

int main(int argc, char** argv)
{
    kiln::watch_signals();
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    try {
        if (argc != 3) {
            throw kiln::Error(kiln::ErrorKind::usage, "it takes what to do and an id", "`kiln run` starts it");
        }
        return work(argv[1], argv[2]);
    } catch (const kiln::Error& error) {
        fmt::print(stderr, "kiln-supervisor: {}\n", kiln::printable(error.what()));
        if (!error.hint().empty()) {
            fmt::print(stderr, "  {}\n", kiln::printable(error.hint()));
        }
        return kiln::exit_code(error.kind());
    } catch (const std::exception& error) {
        fmt::print(stderr, "kiln-supervisor: {}\n", kiln::printable(error.what()));
        return kiln::exit_code(kiln::ErrorKind::internal);
    }
}
