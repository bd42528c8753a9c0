// SPDX-License-Identifier: Apache-2.0
// kiln image pull oci://HOST/REPOSITORY:TAG
#include "cli/context.h"
#include "cli/publish.h"
#include "cli/remote_options.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/transfer_meter.h"
#include "registry/artifact.h"
#include "registry/remote/pull.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace kiln::cli
{
namespace
{

namespace remote = registry::remote;

struct PullOptions {
    RemoteArguments remote;
    bool warm = false;
};

// One that is there already is no failure where its templates are asked for.
registry::Image take_image(registry::Region& region, remote::RemoteSource& source, const signing::TrustStore& trust,
                           const registry::Signer& signer, const registry::Transfer& transfer, bool warm)
{
    try {
        return region.import_image(source, trust, signer, transfer);
    } catch (const Error& error) {
        if (!warm || error.kind() != ErrorKind::conflict || !source.image()) {
            throw;
        }
        const std::vector<registry::Image> images = region.images();
        const auto there = std::ranges::find(images, *source.image(), &registry::Image::manifest);
        if (there == images.end()) {
            throw;
        }
        return *there;
    }
}

// What the image's owner or the calling account made. Returns how many.
std::size_t take_templates(const registry::Region& region, const registry::Image& image, remote::RemoteSource& source,
                           const signing::TrustStore& trust, const std::string& account,
                           const registry::Transfer& transfer)
{
    std::vector<signing::PublicKey> keys = trust.keys_of(image.owner);
    if (account != image.owner) {
        std::ranges::copy(trust.keys_of(account), std::back_inserter(keys));
    }
    const WorkFolder work(region.layout().folder() / "imports", "templates-");
    const auto pulled = source.read_artifacts(bundle::template_artifact_type, keys, work.path(), transfer);
    for (const registry::Artifact& one : pulled) {
        registry::attach_artifact(region, image, bundle::template_artifact_type, one, work.path());
    }
    source.finish();
    return pulled.size();
}

void report(const Context& context, const registry::Image& image, const remote::RemoteReference& reference,
            const remote::Fetched& fetched, std::size_t templates, bool quiet)
{
    Json json = to_json(image, context.region);
    json["pulled_from"] = {{"address", reference.to_string()},
                           {"fetched", fetched.fetched.bytes()},
                           {"resumed", fetched.resumed.bytes()},
                           {"present", fetched.present.bytes()},
                           {"templates", templates}};
    print_result(context, json,
                 quiet ? image.id + "\n"
                       : fmt::format("{}  {} {}  owned by account {}  {} fetched, {} were there{}\n", image.id,
                                     image.name, image.version.to_string(), image.owner, to_string(fetched.fetched),
                                     to_string(fetched.resumed + fetched.present),
                                     templates == 0 ? "" : fmt::format("  with {} warm", templates)));
}

void pull(const Context& context, const PullOptions& options)
{
    const RemoteArguments& arguments = options.remote;
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
        const registry::Transfer transfer{
            .transferred = [&](ByteSize done, ByteSize total) { meter.show(done, total); }, .stop = context.stop};
        const signing::TrustStore trust = context.trust();
        const registry::Image image =
            take_image(*region, source, trust, {.account = account.id, .key = key}, transfer, options.warm);
        std::size_t templates = 0;
        if (options.warm) {
            progress.stage("pull its templates");
            templates = take_templates(*region, image, source, trust, account.id, transfer);
        }
        progress.finish();
        report(context, image, reference, source.fetched(), templates, arguments.quiet);
    } catch (Error& error) {
        error.while_doing(fmt::format("pulling {}", address));
        throw;
    }
}

} // namespace

void add_image_pull(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("pull", "Take an AMI from a remote OCI registry");
    auto options = std::make_shared<PullOptions>();
    add_remote_arguments(*command, options->remote, "oci://HOST[:PORT]/REPOSITORY:TAG or ...@sha256:DIGEST");
    command->add_flag("--warm", options->warm, "Take its owner's templates of warm launches, too");
    on_run_in_region(*command, context, [&context, options] { pull(context, *options); });
}

} // namespace kiln::cli
