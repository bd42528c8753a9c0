// SPDX-License-Identifier: Apache-2.0
// kiln registry lifecycle apply FILE: deprecates, disables and deregisters images as a policy says, each by a signed
// event.
#include "cli/context.h"
#include "cli/instances_in_use.h"
#include "cli/lifecycle_policy_file.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/text.h"

#include <fmt/format.h>

#include <optional>

namespace kiln::cli
{
namespace
{

struct LifecycleOptions {
    std::string file;
    bool dry_run = false;
};

// What came of one step.
struct Outcome {
    registry::LifecycleStep step;
    std::string_view result; // "planned", "done", "kept", "failed"
    std::string why;
};

Json to_json(const Outcome& outcome)
{
    const registry::Image& image = outcome.step.image;
    return {{"image_id", image.id},
            {"name", image.name},
            {"version", image.version.to_string()},
            {"architecture", image.architecture},
            {"action", outcome.step.action},
            {"rule", outcome.step.rule},
            {"reason", outcome.step.reason},
            {"result", outcome.result},
            {"kept_because", outcome.result == "kept" ? Json(outcome.why) : Json()},
            {"error", outcome.result == "failed" ? Json(outcome.why) : Json()}};
}

class Application
{
public:
    Application(Context& context, registry::Region& region, bool dry_run)
        : context_(context), region_(region), dry_run_(dry_run)
    {
    }

    void take(const registry::LifecycleStep& step)
    {
        throw_if_interrupted(context_.stop);
        if (!step.protection.empty()) {
            outcomes_.push_back({step, "kept", step.protection});
        } else if (dry_run_) {
            outcomes_.push_back({step, "planned", {}});
        } else {
            change(step);
        }
    }
    [[nodiscard]] const std::vector<Outcome>& outcomes() const { return outcomes_; }
    [[nodiscard]] int exit_status() const { return exit_status_; }

private:
    // What goes wrong with one image, such as that it was deregistered meanwhile, does not stop the others.
    void change(const registry::LifecycleStep& step)
    {
        if (!key_) {
            key_.emplace(context_.account_key());
        }
        try {
            static_cast<void>(region_.change(step.image, registry::change_of(step),
                                             {.account = step.image.holder, .key = *key_}, context_.trust()));
            outcomes_.push_back({step, "done", {}});
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::conflict && error.kind() != ErrorKind::not_found) {
                throw;
            }
            outcomes_.push_back({step, "failed", error.what()});
            exit_status_ = exit_code(error.kind());
        }
    }

    Context& context_;
    registry::Region& region_;
    bool dry_run_;
    std::optional<signing::SecretKey> key_;
    std::vector<Outcome> outcomes_;
    int exit_status_ = 0;
};

std::string describe(const std::vector<Outcome>& outcomes, const std::string& policy, bool dry_run)
{
    std::vector<std::vector<std::string>> rows = {{"IMAGE ID", "NAME", "VERSION", "ACTION", "RULE", "WHY"}};
    std::size_t changed = 0;
    for (const Outcome& outcome : outcomes) {
        const registry::Image& image = outcome.step.image;
        const bool acts = outcome.result == "planned" || outcome.result == "done";
        changed += acts ? 1 : 0;
        rows.push_back({image.id, image.name, image.version.to_string(),
                        acts ? outcome.step.action : std::string(outcome.result), std::to_string(outcome.step.rule),
                        acts ? outcome.step.reason : printable(outcome.why, false)});
    }
    return (rows.size() == 1 ? std::string() : table(rows)) + fmt::format("{}: {} {} of {} images that are due\n",
                                                                          policy, dry_run ? "would change" : "changed",
                                                                          changed, outcomes.size());
}

void apply_policy(Context& context, const LifecycleOptions& options)
{
    const registry::LifecyclePolicy policy = load_lifecycle_policy(options.file);
    const auto region = context.open_region();
    const auto account = signing::find_account(context.paths);
    const std::vector<registry::LifecycleStep> steps =
        registry::plan_lifecycle(*region, policy,
                                 {.account = account ? account->id : std::string(),
                                  .instances = instances_of_images(context.paths, region->name()),
                                  .now = std::chrono::system_clock::now()});
    Application application(context, *region, options.dry_run);
    for (const registry::LifecycleStep& step : steps) {
        application.take(step);
    }
    Json json = Json::array();
    for (const Outcome& outcome : application.outcomes()) {
        json.push_back(to_json(outcome));
    }
    print_result(context,
                 {{"policy", policy.name}, {"region", region->name()}, {"dry_run", options.dry_run}, {"images", json}},
                 describe(application.outcomes(), policy.name, options.dry_run));
    context.exit_status = application.exit_status();
}

} // namespace

void add_registry_lifecycle(CLI::App& registry, Context& context)
{
    CLI::App* lifecycle = registry.add_subcommand("lifecycle", "Policies by which images are retired");
    lifecycle->require_subcommand(1);
    CLI::App* command = lifecycle->add_subcommand("apply", "Deprecate, disable and deregister as a policy says");
    auto options = std::make_shared<LifecycleOptions>();
    command->add_option("policy", options->file, "The policy, a TOML file (docs/registry.md)")
        ->required()
        ->type_name("FILE");
    command->add_flag("--dry-run", options->dry_run, "Tell what would be done, and do nothing");
    on_run_in_region(*command, context, [&context, options] { apply_policy(context, *options); });
}

} // namespace kiln::cli
