// SPDX-License-Identifier: Apache-2.0
#include "cli/verification.h"

#include "core/text.h"

#include <fmt/format.h>

namespace kiln::cli
{

void add_verify_option(CLI::App& command, std::string& how)
{
    command
        .add_option("--verify", how,
                    "full: read every layer; changed: those that changed since this home last read them")
        ->check(CLI::IsMember({verify_full, verify_changed}))
        ->capture_default_str()
        ->type_name("full|changed");
}

registry::Reading reading_of(const std::string& how)
{
    return how == verify_full ? registry::Reading::all : registry::Reading::changed;
}

registry::VerificationRecord verification_record(const Context& context)
{
    registry::VerificationRecord record(context.paths.home / "verified" / "blobs.sqlite");
    if (record.fault()) {
        fmt::print(stderr, "kiln: every layer is read, as the record of what was verified can't be used: {}\n",
                   printable(*record.fault(), false));
    }
    return record;
}

} // namespace kiln::cli
