// SPDX-License-Identifier: Apache-2.0
// kiln build RECIPE
#include "builder/build.h"
#include "cli/context.h"
#include "cli/publish.h"
#include "cli/work_folders.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "recipes/recipe.h"

#include <fmt/format.h>

namespace kiln::cli
{
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
            .deprecated_on = filled(launch.deprecated_on)};
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

void print_image(const Context& context, const registry::Image& image, const Progress& progress, bool reused)
{
    Json json = to_json(image, context.region);
    json["reused"] = reused;
    json["stages"] = Json::array();
    for (const Progress::Timing& timing : progress.timings()) {
        json["stages"].push_back({{"stage", timing.stage}, {"seconds", timing.elapsed.count()}});
    }
    print_result(context, json,
                 fmt::format("{}  {} {}  signed by account {}, in region {}{}\n", image.id, image.name,
                             image.version.to_string(), image.owner, context.region,
                             reused ? " (built before from the same recipe)" : ""));
}

struct Options {
    std::string recipe;
    bool no_cache = false;
};

void build(Context& context, const Options& options)
{
    const recipes::Recipe recipe = recipes::load_recipe(options.recipe);
    const auto region = context.open_region();
    Progress progress;
    if (const auto built = region->find(recipe.name, recipe.version, recipe.architecture);
        built && built->recipe == recipe.digest && !options.no_cache) {
        print_image(context, *built, progress, true);
        return;
    }
    require_free_version(*region, recipe.name, recipe.version, recipe.architecture);
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key(); // asked for before the long work
    const Accelerator accelerator = context.accelerator();
    const WorkFolders work(context.paths, "build-");
    const std::filesystem::path logs = work.disks.path() / "logs";
    make_directories(logs, 0700);
    const builder::DiskSet disks = builder::build(recipe,
                                                  {.accelerator = accelerator,
                                                   .work = work.disks.path(),
                                                   .sockets = work.sockets.path(),
                                                   .cache = context.paths.cache,
                                                   .logs = logs,
                                                   .look_up = !options.no_cache},
                                                  progress, context.stop);
    progress.stage("sign and publish");
    const registry::Image image = publish(*region, manifest_for(recipe, account.id), disks, key);
    progress.finish();
    print_image(context, image, progress, false);
}

} // namespace

void add_build(CLI::App& app, Context& context)
{
    CLI::App* command = app.add_subcommand("build", "Build a recipe into a signed AMI in the region");
    auto options = std::make_shared<Options>();
    command->add_option("recipe", options->recipe, "The recipe, a TOML file (docs/recipe.md)")
        ->required()
        ->type_name("RECIPE");
    command->add_flag("--no-cache", options->no_cache, "Make every layer anew, also those that the cache has");
    on_run(*command, context, [&context, options] { build(context, *options); });
}

} // namespace kiln::cli
