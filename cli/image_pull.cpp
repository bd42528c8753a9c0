// SPDX-License-Identifier: Apache-2.0
// kiln image pull oci://HOST/REPOSITORY:TAG
#include "cli/context.h"
#include "cli/publish.h"
#include "cli/remote_options.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/transfer_meter.h"
#include "registry/remote/pull.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

namespace remote = registry::remote;

void report(const Context& context, const registry::Image& image, const remote::RemoteReference& reference,
            const remote::Fetched& fetched, bool quiet)
{
    Json json = to_json(image, context.region);
    json["pulled_from"] = {{"address", reference.to_string()},
                           {"fetched", fetched.fetched.bytes()},
                           {"resumed", fetched.resumed.bytes()},
                           {"present", fetched.present.bytes()}};
    print_result(context, json,
                 quiet ? image.id + "\n"
                       : fmt::format("{}  {} {}  owned by account {}  {} fetched, {} were there\n", image.id,
                                     image.name, image.version.to_string(), image.owner, to_string(fetched.fetched),
                                     to_string(fetched.resumed + fetched.present)));
}

void pull(const Context& context, const RemoteArguments& arguments)
{
    const remote::RemoteReference reference = remote::parse_remote_reference(arguments.address);
    const auto region = context.open_region();
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key();
    Progress progress(arguments.quiet);
    const remote::RemoteOptions connection = remote_options(context, arguments, progress);
    const std::string address = reference.to_string();
    try {
        remote::RemoteSource source(*region, reference, connection, context.stop);
        progress.stage(fmt::format("pull {}", address));
        TransferMeter meter(progress);
        const registry::Image image = region->import_image(
            source, context.trust(), {.account = account.id, .key = key},
            {.transferred = [&](ByteSize done, ByteSize total) { meter.show(done, total); }, .stop = context.stop});
        progress.finish();
        report(context, image, reference, source.fetched(), arguments.quiet);
    } catch (Error& error) {
        error.while_doing(fmt::format("pulling {}", address));
        throw;
    }
}

} // namespace

void add_image_pull(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("pull", "Take an AMI from a remote OCI registry");
    auto arguments = std::make_shared<RemoteArguments>();
    add_remote_arguments(*command, *arguments, "oci://HOST[:PORT]/REPOSITORY:TAG or ...@sha256:DIGEST");
    on_run_in_region(*command, context, [&context, arguments] { pull(context, *arguments); });
}

} // namespace kiln::cli
