// SPDX-License-Identifier: Apache-2.0
// kiln image warm: saves a booted instance of an AMI, from which `kiln run` then launches clones.
#include "cli/image_warm.h"

#include "cli/launch_image.h"
#include "cli/verification.h"
#include "cli/warm_templates.h"
#include "core/error.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/warm/template_making.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

struct WarmCommandOptions {
    std::string image;
    std::string type;
    bool allow_unsigned = false;
    bool list = false;
    bool remove = false;
    bool quiet = false;
};

using Templates = std::vector<launcher::StoredTemplate>;

Json json_of(const launcher::StoredTemplate& one)
{
    Json json = to_json(one.description);
    json["stored_size"] = one.artifact.size().bytes();
    json["manifest"] = one.artifact.manifest.to_string();
    return json;
}

void show_templates(const Context& context, const Templates& templates)
{
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"TEMPLATE", "IMAGE", "FITS", "SIZE", "MADE"}};
    for (const launcher::StoredTemplate& stored : templates) {
        const launcher::WarmTemplate& one = stored.description;
        json.push_back(json_of(stored));
        rows.push_back({one.id, one.image_name + "@" + one.image_version,
                        fmt::format("{} {}", one.shape.type, name_of(one.shape.accelerator)),
                        to_string(stored.artifact.size()), one.made.substr(0, one.made.find('T'))});
    }
    print_result(context, json,
                 rows.size() == 1 ? "There is no template; `kiln image warm AMI` makes one.\n" : table(rows));
}

void remove_templates(const Context& context, const registry::Region& region, const Templates& templates)
{
    Json removed = Json::array();
    std::string text;
    for (const launcher::StoredTemplate& stored : templates) {
        const launcher::WarmTemplate& one = stored.description;
        registry::detach_artifact(region, stored.artifact.manifest);
        removed.push_back(one.id);
        text += fmt::format("removed the template {} of {}@{}; `kiln registry gc` frees its {}\n", one.id,
                            one.image_name, one.image_version, to_string(stored.artifact.size()));
    }
    print_result(context, {{"removed", removed}}, text.empty() ? "There was no template of it.\n" : text);
}

void make(const Context& context, const WarmCommandOptions& options)
{
    Progress progress(options.quiet);
    const auto region = context.open_region();
    const registry::Image image = region->resolve(options.image, context.trust());
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key();
    const signing::TrustStore trust = context.trust();
    progress.stage(fmt::format("verify {} {}", image.name, image.version.to_string()));
    registry::VerificationRecord record = verification_record(context);
    const registry::VerifiedImage verified = registry::verify(
        *region, image, trust, account.id,
        {.unsigned_images = options.allow_unsigned ? registry::Unsigned::allow : registry::Unsigned::refuse,
         .reading = registry::Reading::changed,
         .record = &record});
    const launcher::TemplateRequest request{
        .type = launcher::choose_instance_type(options.type.empty() ? std::nullopt : std::optional(options.type),
                                               verified.manifest().launch, launcher::user_types(context.paths)),
        .accelerator = context.accelerator(),
        .account_id = account.id,
        .owner = {.region = *region, .image = image, .key = key, .record = &record}};
    const launcher::StoredTemplate stored =
        launcher::make_template(context.paths, verified, request, progress, context.stop);
    const launcher::WarmTemplate& one = stored.description;
    progress.finish();
    note_ready(one);
    print_result(context, json_of(stored),
                 options.quiet ? one.id + "\n"
                               : fmt::format("{} {} is warm as a {}: the template {} was made in {}\n", one.image_name,
                                             one.image_version, one.shape.type, one.id, human_duration(one.took)));
}

void warm(const Context& context, const WarmCommandOptions& options)
{
    if (options.image.empty() && !options.list) {
        throw Error(ErrorKind::usage, "which AMI?", "name it, or say --list");
    }
    if (!options.list && !options.remove) {
        return make(context, options);
    }
    const auto region = context.open_region();
    const signing::TrustStore trust = context.trust();
    const auto known = signing::find_account(context.paths);
    const std::string account = known ? known->id : "";
    const Templates templates = options.image.empty()
                                    ? all_templates(*region, trust, account)
                                    : templates_of(*region, region->resolve(options.image, trust), trust, account);
    options.remove ? remove_templates(context, *region, templates) : show_templates(context, templates);
}

} // namespace

void add_image_warm(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("warm", "Save it booted, so that `kiln run` need not boot it");
    auto options = std::make_shared<WarmCommandOptions>();
    command->add_option("image", options->image, image_reference_help)->type_name("AMI");
    command->add_option("--type", options->type, "Instance type that it is for (default: as `kiln run` has it)")
        ->type_name("TYPE");
    add_allow_unsigned(*command, options->allow_unsigned);
    CLI::Option* list =
        command->add_flag("--list", options->list, "Show the templates, of all AMIs where none is named");
    command->add_flag("--remove", options->remove, "Remove the AMI's templates; their clones run on")->excludes(list);
    command->add_flag("-q,--quiet", options->quiet, "Print just the template's id");
    on_run_in_region(*command, context, [&context, options] { warm(context, *options); });
}

} // namespace kiln::cli
