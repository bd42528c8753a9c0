// SPDX-License-Identifier: Apache-2.0
// kiln image show|verify; the other commands are in image_*.cpp
#include "cli/context.h"
#include "cli/image_text.h"
#include "cli/image_warm.h"
#include "cli/publish.h"
#include "cli/verification.h"
#include "core/error.h"
#include "core/text.h"
#include "registry/verified_image.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

// What its events make of it; where they don't hold, what the catalogue says, with a warning.
registry::Image explained(const Context& context, const registry::Region& region, const registry::Image& image,
                          const bundle::Manifest& manifest)
{
    try {
        return region.explained(image, manifest, context.trust());
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::untrusted) {
            throw;
        }
        fmt::print(stderr, "kiln: warning: what may change is shown as the catalogue has it, unverified: {}\n",
                   printable(error.what()));
        return image;
    }
}

std::string describe(const registry::Image& image, const bundle::Manifest& manifest, const std::string& region,
                     const std::vector<std::string>& channels)
{
    std::vector<std::vector<std::string>> rows = {
        {"Image ID", image.id},
        {"Name", image.name},
        {"Version", image.version.to_string()},
        {"Description", manifest.description},
        {"Architecture", manifest.architecture},
        {"Boot mode", manifest.boot_mode},
        {"Operating system", manifest.os_name},
        {"State", std::string(name_of(image.state))},
        {"Launch permission", launch_permission(image)},
        {"Channels", channels.empty() ? "none" : join(channels, ", ")},
        {"Instance type", manifest.launch.instance_type.value_or("any")},
        {"Minimum memory", manifest.launch.minimum_memory ? to_string(*manifest.launch.minimum_memory) : "none"},
        {"Deprecated at", image.deprecated_at.value_or("never")},
        {"Owner", image.holder},
        {"Signed by", image.owner},
        {"Region", region},
        {"Created", image.created},
        {"Manifest", image.manifest.to_string()},
        {"Root device", manifest.root_device},
        {"Packages", fmt::format("{} (`--json` lists them)", manifest.software.size())},
        {"Tests", std::to_string(manifest.tests.size())},
    };
    if (manifest.launch.warm) {
        rows.push_back({"Warm launches", "from its smoke test on"});
    }
    if (manifest.parent) {
        rows.push_back({"Parent", fmt::format("{} {}", manifest.parent->name, manifest.parent->version.to_string())});
    }
    if (manifest.source.instance) {
        rows.push_back({"Snapshot of", fmt::format("{} ({}-consistent)", *manifest.source.instance,
                                                   manifest.source.consistency.value_or("crash"))});
    }
    if (manifest.source.disk) {
        rows.push_back(
            {"Imported from", fmt::format("a disk image with the digest {}", manifest.source.disk->to_string())});
    }
    std::string text = table(rows) + "\n";
    std::vector<std::vector<std::string>> volumes = {
        {"DEVICE", "SIZE", "TYPE", "ENCRYPTED", "LAYERS", "STORED", "FILE SYSTEMS"}};
    for (const bundle::BlockDeviceMapping& mapping : manifest.block_devices) {
        ByteSize stored;
        for (const bundle::LayerReference& layer : mapping.layers) {
            stored = stored + layer.size;
        }
        std::vector<std::string> contents;
        for (const bundle::FileSystem& one : mapping.file_systems) {
            contents.push_back(one.mount.empty() ? one.type : fmt::format("{} on {}", one.type, one.mount));
        }
        volumes.push_back({mapping.device, to_string(mapping.size), mapping.volume_type,
                           mapping.encrypted ? "yes" : "no", std::to_string(mapping.layers.size()), to_string(stored),
                           join(contents, ", ")});
    }
    return text + table(volumes);
}

struct ShowOptions {
    std::string image;
    bool sbom = false;
    bool provenance = false;
};

struct VerifyOptions {
    std::string image;
    std::string verify = verify_full;
};

void show(Context& context, const ShowOptions& options)
{
    const auto region = context.open_region();
    registry::Image image = region->resolve(options.image, context.trust());
    if (options.sbom || options.provenance) {
        const Json document = region->attachment(
            image, options.sbom ? bundle::sbom_artifact_type : bundle::provenance_artifact_type, context.trust());
        print_result(context, document, document.dump(2) + "\n");
        return;
    }
    const bundle::Manifest manifest = region->load_manifest(image);
    image = explained(context, *region, image, manifest);
    const std::vector<std::string> channels = region->channels_of(image);
    Json json = to_json(image, context.region);
    json["channels"] = channels;
    json["ami"] = bundle::to_json(manifest);
    print_result(context, json, describe(image, manifest, context.region, channels));
}

// Reads everything by default: who asks wants to know how the disks are now. What it finds whole is noted for launches.
void verify_image(Context& context, const VerifyOptions& options)
{
    const auto region = context.open_region();
    const registry::Image image = region->resolve(options.image, context.trust());
    const signing::Account account = signing::ensure_account(context.paths);
    registry::VerificationRecord record = verification_record(context);
    const registry::Decision decision = registry::decide(*region, image, context.trust(), account.id,
                                                         {.reading = reading_of(options.verify), .record = &record});
    Json checks = Json::array();
    std::string text;
    for (const registry::Check& check : decision.checks) {
        checks.push_back({{"name", check.name}, {"passed", check.passed}, {"detail", check.detail}});
        text += fmt::format("{}  {}: {}\n", check.passed ? "ok  " : "FAIL", check.name, printable(check.detail, false));
    }
    text +=
        fmt::format("{} {} {}\n", image.id, image.name,
                    decision.passed() ? "is verified: it may be launched" : "is NOT verified: it won't be launched");
    print_result(context, {{"image_id", image.id}, {"verified", decision.passed()}, {"checks", checks}}, text);
    if (!decision.passed()) {
        context.exit_status = exit_code(ErrorKind::untrusted);
    }
}

} // namespace

void add_image(CLI::App& app, Context& context)
{
    CLI::App* image = app.add_subcommand("image", "List, show, verify, share, move and retire AMIs");
    image->require_subcommand(1);
    add_image_list(*image, context);

    auto options = std::make_shared<ShowOptions>();
    CLI::App* show_command = image->add_subcommand("show", "All about one AMI");
    show_command->add_option("image", options->image, image_reference_help)->required()->type_name("AMI");
    CLI::Option* sbom = show_command->add_flag("--sbom", options->sbom,
                                               "Print its bill of materials (SPDX 2.3), once its signature is checked");
    show_command
        ->add_flag("--provenance", options->provenance,
                   "Print how it was built (the predicate of SLSA provenance v1), once its signature is checked")
        ->excludes(sbom);
    on_run_in_region(*show_command, context, [&context, options] { show(context, *options); });
    auto verify = std::make_shared<VerifyOptions>();
    CLI::App* verify_command = image->add_subcommand("verify", "Check it as a launch does, and show each check");
    verify_command->add_option("image", verify->image, image_reference_help)->required()->type_name("AMI");
    add_verify_option(*verify_command, verify->verify);
    on_run_in_region(*verify_command, context, [&context, verify] { verify_image(context, *verify); });
    add_image_changes(*image, context);
    add_image_history(*image, context);
    add_image_diff(*image, context);
    add_image_copy(*image, context);
    add_image_export(*image, context);
    add_image_import(*image, context);
    add_image_push(*image, context);
    add_image_pull(*image, context);
    add_image_sign(*image, context);
    add_image_warm(*image, context);
}

} // namespace kiln::cli
