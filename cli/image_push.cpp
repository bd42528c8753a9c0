// SPDX-License-Identifier: Apache-2.0
// kiln image push AMI oci://HOST/REPOSITORY[:TAG]
#include "cli/context.h"
#include "cli/remote_options.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/transfer_meter.h"
#include "launcher/warm/warm_template.h"
#include "registry/remote/push.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

namespace remote = registry::remote;

struct PushOptions {
    std::string image;
    RemoteArguments remote;
    bool warm = false;
};

// Those that the calling account made.
std::vector<remote::TypedArtifact> templates_to_push(const registry::Region& region, const registry::Image& image,
                                                     const signing::TrustStore& trust, const std::string& account)
{
    std::vector<std::string> faults;
    std::vector<remote::TypedArtifact> artifacts;
    for (launcher::StoredTemplate& one :
         launcher::find_templates(region.layout(), image.manifest, trust, {account}, faults)) {
        artifacts.push_back({bundle::template_artifact_type, std::move(one.artifact)});
    }
    if (artifacts.empty()) {
        throw Error(ErrorKind::not_found,
                    fmt::format("account {} has no template of {}{}", account, image.id,
                                faults.empty() ? "" : ": " + faults.front()),
                    fmt::format("make one: kiln image warm {}", image.id));
    }
    return artifacts;
}

void push(const Context& context, const PushOptions& options)
{
    const remote::RemoteReference reference = remote::parse_remote_reference(options.remote.address);
    const auto region = context.open_region();
    const signing::TrustStore trust = context.trust();
    const registry::Image image = region->resolve(options.image, trust);
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key();
    const std::vector<remote::TypedArtifact> templates =
        options.warm ? templates_to_push(*region, image, trust, account.id) : std::vector<remote::TypedArtifact>();
    Progress progress(options.remote.quiet);
    const remote::RemoteOptions connection = remote_options(context, options.remote, progress);
    progress.stage(fmt::format("verify {} {}", image.name, image.version.to_string()));
    const registry::VerifiedImage verified = registry::verify(*region, image, trust, account.id);
    progress.stage(fmt::format("push {} to {}", image.id, reference.name()));
    TransferMeter meter(progress);
    const remote::Pushed pushed = remote::push_image(
        *region, verified, reference, connection, {.account = account.id, .key = key},
        {.transferred = [&](ByteSize done, ByteSize total) { meter.show(done, total); }, .stop = context.stop},
        templates);
    if (!pushed.for_cosign) {
        progress.note(fmt::format("without signatures for cosign and skopeo: {}", pushed.without_cosign));
    }
    progress.finish();
    const std::string address = pushed.reference.to_string();
    print_result(
        context,
        {{"image_id", image.id},
         {"name", image.name},
         {"version", image.version.to_string()},
         {"architecture", image.architecture},
         {"address", address},
         {"tag", *pushed.reference.tag},
         {"manifest", image.manifest.to_string()},
         {"sent", pushed.sent.bytes()},
         {"present", pushed.present.bytes()},
         {"templates", templates.size()},
         {"cosign", pushed.for_cosign},
         {"referrers", pushed.by_tag ? "tag" : "api"}},
        fmt::format("{}  {} sent, {} were there\n", address, to_string(pushed.sent), to_string(pushed.present)));
}

} // namespace

void add_image_push(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("push", "Copy an AMI, once verified, to a remote OCI registry");
    auto options = std::make_shared<PushOptions>();
    command->add_option("image", options->image, image_reference_help)->required()->type_name("AMI");
    add_remote_arguments(*command, options->remote,
                         "oci://HOST[:PORT]/REPOSITORY[:TAG] (default tag: NAME-VERSION-ARCH)");
    command->add_flag("--warm", options->warm, "Send the account's templates of its warm launches, too");
    on_run_in_region(*command, context, [&context, options] { push(context, *options); });
}

} // namespace kiln::cli
