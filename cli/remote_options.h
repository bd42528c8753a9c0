// SPDX-License-Identifier: Apache-2.0
// The options that `image push` and `image pull` have in common.
#pragma once

#include "cli/context.h"
#include "core/progress.h"
#include "registry/remote/remote_options.h"

#include <string>

namespace kiln::cli
{

struct RemoteArguments {
    std::string address;
    std::string ca_file;
    bool plain_http = false;
    unsigned connections = 3;
    bool quiet = false;
};

void add_remote_arguments(CLI::App& command, RemoteArguments& arguments, const std::string& address_help);

// `progress` outlives what is returned.
[[nodiscard]] registry::remote::RemoteOptions remote_options(const Context& context, const RemoteArguments& arguments,
                                                             Progress& progress);

} // namespace kiln::cli
