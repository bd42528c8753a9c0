// SPDX-License-Identifier: Apache-2.0
// kiln image copy: into another region of this home.
#include "cli/context.h"
#include "cli/publish.h"
#include "cli/verification.h"
#include "core/progress.h"
#include "registry/verified_image.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

struct CopyOptions {
    std::string image;
    std::string to;
};

void copy(Context& context, const CopyOptions& options)
{
    const auto source = context.open_region();
    const auto target = context.open_region(options.to);
    const signing::TrustStore trust = context.trust();
    const registry::Image image = source->resolve(options.image, trust);
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key();
    Progress progress;
    progress.stage(fmt::format("verify {} {}", image.name, image.version.to_string()));
    registry::VerificationRecord record = verification_record(context);
    const registry::VerifiedImage verified =
        registry::verify(*source, image, trust, account.id,
                         {.reading = registry::Reading::changed, .record = &record}); // copying reads all once more
    progress.stage(fmt::format("copy it to region {}", options.to));
    const registry::Image copied = target->copy_from(*source, verified, {.account = account.id, .key = key});
    progress.finish();
    Json json = to_json(copied, options.to);
    json["copied_from"] = {{"region", context.region}, {"image_id", image.id}};
    print_result(context, json,
                 fmt::format("{}  {} {}  in region {}, a copy of {} in region {}\n", copied.id, copied.name,
                             copied.version.to_string(), options.to, image.id, context.region));
}

} // namespace

void add_image_copy(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("copy", "Copy it to another region, with a new id");
    auto options = std::make_shared<CopyOptions>();
    command->add_option("image", options->image, image_reference_help)->required()->type_name("AMI");
    command->add_option("--to", options->to, "The region that gets the copy")->required()->type_name("REGION");
    on_run_in_region(*command, context, [&context, options] { copy(context, *options); });
}

} // namespace kiln::cli
