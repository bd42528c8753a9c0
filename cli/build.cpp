// SPDX-License-Identifier: Apache-2.0
// kiln build RECIPE
#include "cli/build.h"

#include "builder/build.h"
#include "builder/lock_file.h"
#include "cli/attestations.h"
#include "cli/build_logs.h"
#include "cli/context.h"
#include "cli/debug_shell.h"
#include "cli/parameters.h"
#include "cli/parent_image.h"
#include "cli/publish.h"
#include "cli/region_components.h"
#include "cli/work_folders.h"
#include "core/error.h"
#include "core/progress.h"
#include "core/timestamp.h"
#include "recipes/recipe.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace fs = std::filesystem;
namespace
{

// One overload a kind; each fills in what its kind has.
void fill(bundle::Test& test, const recipes::RunTest& run)
{
    test.kind = "run";
    test.command = run.command;
    test.status = run.status;
    test.output = run.output;
    test.timeout_seconds = run.timeout.count();
}

void fill(bundle::Test& test, const recipes::ConsoleTest& console)
{
    test.kind = "console";
    test.pattern = console.pattern;
    test.timeout_seconds = console.timeout.count();
}

void fill(bundle::Test& test, const recipes::PortTest& port)
{
    test.kind = "port";
    test.port = port.port;
    test.timeout_seconds = port.timeout.count();
}

void fill(bundle::Test& test, const recipes::HttpTest& http)
{
    test.kind = "http";
    test.port = http.port;
    test.path = http.path;
    test.status = http.status;
    test.body = http.body;
    test.timeout_seconds = http.timeout.count();
}

bundle::Test to_bundle(const recipes::Test& test)
{
    bundle::Test result;
    result.name = test.name;
    result.derived = test.derived;
    std::visit([&](const auto& check) { fill(result, check); }, test.check);
    return result;
}

bundle::LaunchDefaults to_bundle(const recipes::LaunchDefaults& launch)
{
    const auto filled = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); };
    return {.instance_type = filled(launch.instance_type),
            .minimum_memory = launch.minimum_memory == ByteSize() ? std::nullopt : std::optional(launch.minimum_memory),
            .accounts = launch.accounts,
            .deprecated_on = filled(launch.deprecated_on),
            .warm = launch.warm};
}

bundle::Manifest manifest_for(const recipes::Recipe& recipe, const std::string& owner)
{
    bundle::Manifest manifest;
    manifest.name = recipe.name;
    manifest.version = recipe.version;
    manifest.description = recipe.description;
    manifest.architecture = recipe.architecture;
    manifest.boot_mode = recipe.boot.firmware;
    manifest.launch_public = recipe.launch.is_public;
    manifest.launch = to_bundle(recipe.launch);
    manifest.tags = recipe.launch.tags;
    manifest.owner = owner;
    manifest.source.kind = "recipe";
    manifest.source.recipe = recipe.digest;
    for (const recipes::Test& test : recipe.tests) {
        manifest.tests.push_back(to_bundle(test));
    }
    return manifest;
}

void print_image(const Context& context, const Built& built, const Progress& progress)
{
    const registry::Image& image = built.image;
    Json json = to_json(image, context.region);
    json["reused"] = built.reused;
    json["lock_file"] = built.lock_file.empty() ? Json() : Json(built.lock_file.native());
    json["stages"] = Json::array();
    for (const Progress::Timing& timing : progress.timings()) {
        json["stages"].push_back({{"stage", timing.stage}, {"seconds", timing.elapsed.count()}});
    }
    print_result(context, json,
                 fmt::format("{}  {} {}  signed by account {}, in region {}{}\n", image.id, image.name,
                             image.version.to_string(), image.owner, context.region,
                             built.reused ? " (built before from the same recipe)" : ""));
}

// What a built image was made of, once its signature is checked.
builder::LockFile lock_of(const Context& context, const registry::Region& region, const registry::Image& image)
{
    return builder::lock_file_from_json(
        region.attachment(image, bundle::lock_artifact_type, signing::TrustStore(context.paths.trust)),
        fmt::format("the lock of {}", image.id));
}

bool is_built_from(const registry::Region& region, const registry::Image& image, const recipes::Recipe& recipe,
                   const std::optional<registry::Image>& parent)
{
    if (image.recipe != recipe.digest || image.state == registry::ImageState::deregistered) {
        return false;
    }
    const auto lineage = parent ? region.load_manifest(image).parent : std::nullopt;
    return !parent || (lineage && lineage->manifest == parent->manifest);
}

// The image that the recipe is about, as far as there is one: of `1.4.x`, the newest of 1.4.
std::optional<registry::Image> find_version(const registry::Region& region, const recipes::Recipe& recipe)
{
    if (!recipe.next_patch) {
        return region.find(recipe.name, recipe.version, recipe.architecture);
    }
    const SemanticVersion next =
        region.next_patch(recipe.name, recipe.version.major, recipe.version.minor, recipe.architecture);
    return next.patch == 0 ? std::nullopt
                           : region.find(recipe.name, {next.major, next.minor, next.patch - 1}, recipe.architecture);
}

} // namespace

Built build_recipe(const Context& context, const BuildCommand& options, Progress& progress)
{
    const auto parameters = parse_parameters(options.parameters);
    RegionComponents components(context);
    const recipes::Recipe recipe =
        recipes::load_recipe(options.recipe, {.parameters = parameters, .components = &components});
    const auto region = context.open_region();
    const fs::path lock_file = builder::lock_file_of(options.recipe);
    const auto lock = options.lock ? std::nullopt : builder::find_lock_file(lock_file);
    const std::optional<registry::Image> parent =
        find_parent(*region, recipe, lock ? &*lock : nullptr, context.trust());
    const auto finish = [&](const registry::Image& image, bool reused) {
        if (options.lock) {
            save_lock_file(lock_of(context, *region, image), lock_file);
        }
        return Built{image, reused, options.lock || lock ? lock_file : fs::path()};
    };
    const auto built = find_version(*region, recipe);
    if (built && !options.no_cache && is_built_from(*region, *built, recipe, parent)) {
        if (lock) {
            require_same(*lock, lock_of(context, *region, *built));
        }
        return finish(*built, true);
    }
    if (!recipe.next_patch) {
        require_free_version(*region, recipe.name, recipe.version, recipe.architecture);
    }
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key(); // asked for before the long work
    const std::string started = iso_now();
    const WorkFolders work(context.paths, "build-");
    builder::BuildOptions how{.kiln = "/proc/self/exe",
                              .accelerator = context.accelerator(),
                              .work = work.disks.path(),
                              .sockets = work.sockets.path(),
                              .cache = context.paths.cache,
                              .logs = make_log_folder(context.paths, recipe.name),
                              .look_up = !options.no_cache,
                              .lock = lock};
    bundle::Manifest manifest = manifest_for(recipe, account.id);
    registry::Lease parent_lease; // its layers stay until the child names them
    if (parent) {
        parent_lease = region->lease({parent->manifest});
        progress.stage(fmt::format("verify {} {}", parent->name, parent->version.to_string()));
        how.parent = verify_parent(context, *region, *parent);
        inherit(manifest, region->load_manifest(*parent), *parent);
    }
    if (options.debug) {
        how.on_failed_step = debug_shell;
    }
    const builder::DiskSet disks = builder::build(recipe, std::move(how), progress, context.stop);
    progress.stage("sign and publish");
    const auto attachments = [&](const SemanticVersion& version) {
        return attestations_of(recipe, disks,
                               {.parent = parent ? std::optional(parent->manifest) : std::nullopt,
                                .parameters = parameters,
                                .account = account.id,
                                .started = started,
                                .version = version});
    };
    const registry::Image image = recipe.next_patch
                                      ? publish_next_patch(*region, std::move(manifest), disks, attachments, key)
                                      : publish(*region, std::move(manifest), disks, attachments(recipe.version), key);
    progress.finish();
    return finish(image, false);
}

void add_build(CLI::App& app, Context& context)
{
    CLI::App* command = app.add_subcommand("build", "Build a recipe into a signed AMI in the region");
    auto options = std::make_shared<BuildCommand>();
    command->add_option("recipe", options->recipe, "The recipe, a TOML file (docs/recipe.md)")
        ->required()
        ->type_name("RECIPE");
    add_parameters(*command, options->parameters);
    command->add_flag("--lock", options->lock,
                      "Write RECIPE.lock.json: later builds use just these packages and inputs, or fail");
    command->add_flag("--no-cache", options->no_cache, "Make every layer anew, also those that the cache has");
    command->add_flag("--debug", options->debug, "Where a step fails, a shell in the system as it left it");
    on_run_in_region(*command, context, [&context, options] {
        Progress progress;
        print_image(context, build_recipe(context, *options, progress), progress);
    });
}

} // namespace kiln::cli
