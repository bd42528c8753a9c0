// SPDX-License-Identifier: Apache-2.0
#include "cli/remote_options.h"

#include "core/error.h"
#include "core/text.h"
#include "registry/remote/credentials.h"

#include <fmt/format.h>

#include <unistd.h>

namespace kiln::cli
{

void add_remote_arguments(CLI::App& command, RemoteArguments& arguments, const std::string& address_help)
{
    command.add_option("address", arguments.address, address_help)->required()->type_name("OCI-ADDRESS");
    command.add_option("--ca", arguments.ca_file, "Certificates (PEM) to trust for TLS, instead of the system's")
        ->type_name("FILE");
    command.add_flag("--plain-http", arguments.plain_http,
                     "Speak http: anybody on the way can read all (default: with this machine only)");
    command.add_option("--connections", arguments.connections, "How many blobs at the same time (default: 3)")
        ->check(CLI::Range(1, 8))
        ->type_name("N");
    command.add_flag("-q,--quiet", arguments.quiet, "Don't report progress");
}

registry::remote::RemoteOptions remote_options(const Context& context, const RemoteArguments& arguments,
                                               Progress& progress)
{
    if (!arguments.ca_file.empty() && ::access(arguments.ca_file.c_str(), R_OK) != 0) {
        throw system_error(errno, fmt::format("opening {}", printable(arguments.ca_file, false)));
    }
    return {.plain_http = arguments.plain_http,
            .ca_file = arguments.ca_file,
            .credential_files = registry::remote::credential_files(context.paths.home / "registry-auth.json"),
            .connections = arguments.connections,
            .note = [&progress](std::string_view line) { progress.note(line); }};
}

} // namespace kiln::cli
