// SPDX-License-Identifier: Apache-2.0
// kiln run AMI.
#include "cli/context.h"
#include "cli/instance_text.h"
#include "cli/launch_image.h"
#include "cli/quick_start.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/text.h"
#include "launcher/launch.h"
#include "launcher/tags.h"
#include "launcher/user_data.h"

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
    std::string key;
    launcher::MetadataOptions metadata;
    std::string network = "user";
    std::vector<std::string> security_groups;
    std::string name;
    unsigned count = 1;
    std::string client_token;
    std::vector<std::string> tags;
    std::string shutdown_behavior = "stop";
    bool disable_api_termination = false;
    bool allow_unsigned = false;
    std::string verify = verify_changed;
    bool yes = false;
    bool wait = false;
    bool quiet = false;
    bool cold = false;
};

std::optional<std::string> read_user_data(const std::string& file)
{
    if (file.empty()) {
        return std::nullopt;
    }
    std::string user_data = read_file(file, mebibytes(1));
    launcher::require_user_data(user_data); // before the long work
    if (launcher::kind_of_user_data(user_data) == launcher::UserDataKind::other) {
        fmt::print(stderr,
                   "kiln: warning: {} does not begin as anything that cloud-init takes (#!, #cloud-config, a "
                   "MIME header, gzip, ...); the guest gets it as it is\n",
                   printable(file, false));
    }
    return user_data;
}

// What was asked for, as it was typed: NAME may be another AMI by the time that the request is repeated.
std::string parameters_of(const Context& context, const RunOptions& options, const LaunchOptions& launch)
{
    Json volumes = Json::object();
    for (const auto& [device, request] : launch.volumes) {
        // A size alone as it was before there was more to ask for: tokens are older than this Kiln.
        volumes[device] = request.size && !request.delete_on_termination
                              ? Json(request.size->bytes())
                              : Json{request.size ? Json(request.size->bytes()) : Json(),
                                     request.volume ? Json(*request.volume) : Json(),
                                     request.delete_on_termination ? Json(*request.delete_on_termination) : Json()};
    }
    Json parameters = {{"region", context.region},
                       {"image", options.image},
                       {"type", options.type},
                       {"name", options.name},
                       {"volumes", volumes},
                       {"user_data", launch.user_data ? Json(digest_of(*launch.user_data).to_string()) : Json()},
                       {"metadata", {options.metadata.v1, options.metadata.hop_limit, options.metadata.tags}},
                       {"tags", launch.tags},
                       {"count", options.count},
                       {"shutdown_behavior", options.shutdown_behavior},
                       {"disable_api_termination", options.disable_api_termination}};
    if (!options.key.empty()) {
        parameters["key"] = options.key;
    }
    if (options.network != "user" || !options.security_groups.empty()) { // else as tokens of an older Kiln have it
        parameters["network"] = {options.network, options.security_groups};
    }
    return digest_of(canonical_json(parameters)).to_string();
}

std::vector<launcher::Instance> launch_or_find(Context& context, const RunOptions& options, Progress& progress)
{
    LaunchOptions launch{.type = options.type.empty() ? std::nullopt : std::optional(options.type),
                         .name = options.name.empty() ? std::nullopt : std::optional(options.name),
                         .volumes = launcher::parse_volume_requests(options.volumes),
                         .key_pair = options.key.empty()
                                         ? std::nullopt
                                         : std::optional(launcher::resolve_key_pair(context.paths, options.key)),
                         .user_data = read_user_data(options.user_data),
                         .metadata = options.metadata,
                         .allow_unsigned = options.allow_unsigned,
                         .verify = options.verify,
                         .shutdown_behavior = parse_shutdown_behavior(options.shutdown_behavior),
                         .termination_protection = options.disable_api_termination,
                         .tags = launcher::parse_tags(options.tags),
                         .count = options.count,
                         .network = launcher::resolve_network(context.paths, options.network, options.security_groups),
                         .cold = options.cold};
    if (!options.client_token.empty()) {
        launch.client_token = {options.client_token, parameters_of(context, options, launch)};
        std::vector<launcher::Instance> before = launcher::find_launched(context.paths, *launch.client_token);
        if (before.size() >= options.count) {
            progress.note(fmt::format("the client token {} launched this before", options.client_token));
            return before;
        }
    }
    build_on_first_use(context, options.image, options.yes, progress);
    return launch_image(context, options.image, launch, progress);
}

void run_image(Context& context, const RunOptions& options)
{
    Progress progress(options.quiet);
    const std::vector<launcher::Instance> launched = launch_or_find(context, options, progress);
    if (options.wait) {
        progress.stage(launched.size() == 1 ? "wait until the guest is ready" : "wait until the guests are ready");
        for (const launcher::Instance& instance : launched) {
            const std::string word =
                launcher::wait_until_ready(context.paths, instance, ready_timeout(context, instance), context.stop);
            progress.note(fmt::format("the guest of {} says: {}", instance.id, word));
        }
    }
    progress.finish();
    Json json = Json::array();
    std::string text;
    for (const launcher::Instance& instance : launched) {
        const launcher::Instance now = launcher::resolve_instance(context.paths, instance.id);
        json.push_back(to_json(now));
        text += options.quiet || options.count > 1 ? now.id + "\n" : how_to_reach(now);
    }
    // One instance as it always was: an object.
    print_result(context, options.count == 1 ? json.at(0) : json, text);
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
        ->add_option("--volume", options->volumes,
                     "A larger, another or one more volume: /dev/vda=8GiB, /dev/vdb=VOLUME, /dev/sdf=10GiB; "
                     "with ,delete-on-termination=no it stays")
        ->allow_extra_args(false) // the next word is not one more
        ->type_name("DEVICE=WHAT");
    command->add_option("--key", options->key, "A key pair whose public key goes into the guest: `kiln keypair list`")
        ->type_name("NAME");
    command
        ->add_option("--user-data", options->user_data,
                     "Up to 16 KiB for the guest's cloud-init: a script, cloud-config, MIME multipart, or gzip of one")
        ->type_name("FILE");
    command
        ->add_option("--network", options->network, "user (NAT of its own), vpc or vpc:NETWORK (with others), or none")
        ->capture_default_str()
        ->type_name("NETWORK");
    command
        ->add_option("--security-group", options->security_groups,
                     "A group of up to 5, by id or name; in a VPC `default` without it")
        ->allow_extra_args(false)
        ->type_name("GROUP");
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
    command->add_option("--count", options->count, "Launch so many, and print their ids: all come up, or none")
        ->check(CLI::Range(1U, launcher::most_instances))
        ->capture_default_str()
        ->type_name("N");
    command
        ->add_option("--client-token", options->client_token,
                     "A name for this request: repeated with it, it returns the same instances")
        ->type_name("TOKEN");
    command->add_option("--tag", options->tags, "A tag for the instance, like team=web; may be repeated")
        ->allow_extra_args(false)
        ->type_name("KEY=VALUE");
    add_shutdown_behavior(*command, options->shutdown_behavior);
    command->add_flag("--disable-api-termination", options->disable_api_termination,
                      "Protect it: `kiln instance terminate` refuses");
    add_allow_unsigned(*command, options->allow_unsigned);
    add_verify_option(*command, options->verify);
    command->add_flag("-y,--yes", options->yes,
                      "Build it first without asking, where it is a recipe of Kiln's library");
    command->add_flag("--cold", options->cold, "Boot it, although `kiln image warm` has saved it booted");
    command->add_flag("--wait", options->wait, "Return when the guest says that it is up");
    command->add_flag("-q,--quiet", options->quiet, "Print just the instance's id");
    on_run_in_region(*command, context, [&context, options] { run_image(context, *options); });
}

} // namespace kiln::cli
