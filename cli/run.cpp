// SPDX-License-Identifier: Apache-2.0
// kiln run AMI, and the hidden `kiln supervise ID` and `kiln network ID` that it starts.
#include "cli/context.h"
#include "cli/instance_text.h"
#include "cli/launch_image.h"
#include "cli/quick_start.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/text.h"
#include "launcher/launch.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

struct RunOptions {
    std::string image;
    std::string type;
    std::vector<std::string> volumes;
    std::string user_data;
    launcher::MetadataOptions metadata;
    std::string name;
    bool allow_unsigned = false;
    std::string verify = verify_changed;
    bool yes = false;
    bool wait = false;
    bool quiet = false;
};

// "/dev/vda=8GiB"
launcher::VolumeSizes parse_volumes(const std::vector<std::string>& texts)
{
    launcher::VolumeSizes volumes;
    for (const std::string& text : texts) {
        const auto equals = text.find('=');
        const auto size = equals == text.npos ? std::nullopt : parse_byte_size(text.substr(equals + 1));
        if (!size || !volumes.emplace(text.substr(0, equals), *size).second) {
            throw Error(
                ErrorKind::usage,
                fmt::format("--volume \"{}\" is not DEVICE=SIZE, or names a device again", printable(text, false)),
                "for example --volume /dev/vda=8GiB");
        }
    }
    return volumes;
}

std::optional<std::string> read_user_data(const std::string& file)
{
    return file.empty() ? std::nullopt : std::optional(read_file(file, mebibytes(1)));
}

void run_image(Context& context, const RunOptions& options)
{
    Progress progress(options.quiet);
    build_on_first_use(context, options.image, options.yes, progress);
    launcher::Instance instance =
        launch_image(context, options.image,
                     {.type = options.type.empty() ? std::nullopt : std::optional(options.type),
                      .name = options.name.empty() ? std::nullopt : std::optional(options.name),
                      .volumes = parse_volumes(options.volumes),
                      .user_data = read_user_data(options.user_data),
                      .metadata = options.metadata,
                      .allow_unsigned = options.allow_unsigned,
                      .verify = options.verify},
                     progress);
    if (options.wait) {
        progress.stage("wait until the guest is ready");
        const std::string word =
            launcher::wait_until_ready(context.paths, instance, ready_timeout(instance), context.stop);
        progress.finish();
        progress.note(fmt::format("the guest says: {}", word));
    } else {
        progress.finish();
    }
    instance = launcher::resolve_instance(context.paths, instance.id);
    print_result(context, to_json(instance), options.quiet ? instance.id + "\n" : how_to_reach(instance));
}

} // namespace

void add_run(CLI::App& app, Context& context)
{
    CLI::App* command = app.add_subcommand("run", "Launch an AMI as an instance");
    auto options = std::make_shared<RunOptions>();
    command->add_option("image", options->image, image_reference_help)->required()->type_name("AMI");
    command
        ->add_option("--type", options->type, "Instance type, t3.nano to t3.xlarge (default: the AMI's, else t3.small)")
        ->type_name("TYPE");
    command
        ->add_option("--volume", options->volumes, "Make the instance's volume larger than the AMI's, as /dev/vda=8GiB")
        ->allow_extra_args(false) // the next word is not one more
        ->type_name("DEVICE=SIZE");
    command
        ->add_option("--user-data", options->user_data,
                     "A script or cloud-config of up to 16 KiB for the guest's cloud-init")
        ->type_name("FILE");
    command->add_flag("--metadata-v1", options->metadata.v1,
                      "Answer requests for instance metadata that bring no token, too");
    command
        ->add_option("--metadata-hop-limit", options->metadata.hop_limit,
                     "How far metadata travel, 1 to 64; from 2 on containers in the guest get them")
        ->check(CLI::Range(1, 64))
        ->capture_default_str()
        ->type_name("HOPS");
    command->add_flag("--metadata-tags", options->metadata.tags, "Let the guest read the instance's tags");
    command->add_option("--name", options->name, "A name for the instance, to use instead of its id")
        ->type_name("NAME");
    add_allow_unsigned(*command, options->allow_unsigned);
    add_verify_option(*command, options->verify);
    command->add_flag("-y,--yes", options->yes,
                      "Build it first without asking, where it is a recipe of Kiln's library");
    command->add_flag("--wait", options->wait, "Return when the guest says that it is up");
    command->add_flag("-q,--quiet", options->quiet, "Print just the instance's id");
    on_run_in_region(*command, context, [&context, options] { run_image(context, *options); });
}

void add_supervise(CLI::App& app, Context& context)
{
    const auto add = [&](const char* name, const char* description, int (*work)(const Paths&, const std::string&)) {
        CLI::App* command = app.add_subcommand(name, description);
        command->group(""); // hidden
        auto id = std::make_shared<std::string>();
        command->add_option("instance", *id)->required();
        command->callback([&context, id, work] { context.exit_status = work(context.paths, *id); });
    };
    add("supervise", "Run an instance's supervisor (started by `kiln run`)", launcher::supervise);
    add("network", "Run an instance's network helper (started by its supervisor)", launcher::serve_network);
}

} // namespace kiln::cli
