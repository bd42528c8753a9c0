// SPDX-License-Identifier: Apache-2.0
// kiln instance start|stop|reboot|terminate|wait|modify, most of them for several instances at once: all of them
// exist, or none is touched; one that fails does not keep the others.
#include "cli/instance_commands.h"
#include "cli/instance_text.h"
#include "cli/launch_image.h"
#include "core/error.h"
#include "core/text.h"
#include "launcher/launch.h"
#include "launcher/life/life.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kiln::cli
{
namespace
{

using launcher::Instance;
using launcher::InstanceState;

struct LifeOptions {
    std::vector<std::string> references;
    unsigned patience = 0; // seconds; 0: shutdown_patience()
    bool skip_os_shutdown = false;
    bool os_shutdown = false;
    bool no_wait = false;
    bool allow_unsigned = false;

    [[nodiscard]] launcher::Asking asking() const
    {
        return {.operating_system = !skip_os_shutdown,
                .patience = patience == 0 ? std::nullopt : std::optional(std::chrono::seconds(patience))};
    }
};

std::chrono::seconds patience_for(const Context& context, const Instance& instance, const LifeOptions& options)
{
    return options.asking().patience.value_or(launcher::shutdown_patience(context.paths, instance.accelerator));
}

std::vector<Instance> resolve_all(const Context& context, const std::vector<std::string>& references)
{
    std::vector<Instance> instances;
    for (const std::string& reference : references) {
        Instance instance = launcher::resolve_instance(context.paths, reference);
        if (std::ranges::find(instances, instance.id, &Instance::id) == instances.end()) { // named twice
            instances.push_back(std::move(instance));
        }
    }
    return instances;
}

// What is printed in the end: for each instance its state before and now, as EC2 answers, or an error.
class Outcomes
{
public:
    explicit Outcomes(Context& context) : context_(context) {}

    // Runs `work`; the only instance's Error goes up, one of several is noted.
    template <typename Work> void run(const Instance& instance, bool alone, Work work)
    {
        try {
            work();
        } catch (const Error& error) {
            if (alone || error.kind() == ErrorKind::interrupted) {
                throw;
            }
            failed_.push_back(instance.id);
            fmt::print(stderr, "kiln: {}: {}\n", instance.id, printable(error.what()));
            json_.push_back({{"instance_id", instance.id},
                             {"previous_state", name_of(instance.state)},
                             {"state", nullptr},
                             {"error", {{"kind", name_of(error.kind())}, {"message", printable(error.what())}}}});
            context_.exit_status = context_.exit_status == 0 ? exit_code(error.kind()) : context_.exit_status;
        }
    }
    [[nodiscard]] bool has_failed(const Instance& instance) const
    {
        return std::ranges::find(failed_, instance.id) != failed_.end();
    }
    // `word`: instead of the state, for a command that changes none.
    void add(const Instance& before, const Instance& now, const std::string& word = {},
             const Json& more = Json::object())
    {
        json_.push_back({{"instance_id", now.id},
                         {"previous_state", name_of(before.state)},
                         {"state", name_of(now.state)},
                         {"state_reason", now.state_reason.empty() ? Json() : Json(printable(now.state_reason))},
                         {"error", nullptr}});
        json_.back().update(more);
        text_ += fmt::format("{}  {}{}\n", now.id, word.empty() ? name_of(now.state) : word,
                             before.state == now.state ? "" : fmt::format("  (was {})", name_of(before.state)));
    }
    void print() const { print_result(context_, json_, text_); }

private:
    Context& context_;
    Json json_ = Json::array();
    std::string text_;
    std::vector<std::string> failed_;
};

void stop(Context& context, const LifeOptions& options)
{
    const std::vector<Instance> instances = resolve_all(context, options.references);
    const bool alone = instances.size() == 1;
    Outcomes outcomes(context);
    for (const Instance& instance : instances) { // all at once, then each is waited for
        outcomes.run(instance, alone,
                     [&] { launcher::begin_stop(context.paths, instance.id, options.asking(), context.stop); });
    }
    for (const Instance& instance : instances) {
        if (outcomes.has_failed(instance)) {
            continue;
        }
        outcomes.run(instance, alone, [&] {
            const auto patience = patience_for(context, instance, options);
            outcomes.add(instance, options.no_wait
                                       ? launcher::resolve_instance(context.paths, instance.id)
                                       : launcher::wait_for_state(context.paths, instance.id, InstanceState::stopped,
                                                                  patience + std::chrono::seconds(60), context.stop));
        });
    }
    outcomes.print();
}

void start(Context& context, const LifeOptions& options)
{
    const std::vector<Instance> instances = resolve_all(context, options.references);
    Outcomes outcomes(context);
    for (const Instance& instance : instances) {
        outcomes.run(instance, instances.size() == 1,
                     [&] { outcomes.add(instance, start_instance(context, instance, options.allow_unsigned)); });
    }
    outcomes.print();
}

void reboot(Context& context, const LifeOptions& options)
{
    const std::vector<Instance> instances = resolve_all(context, options.references);
    Outcomes outcomes(context);
    for (const Instance& instance : instances) {
        outcomes.run(instance, instances.size() == 1, [&] {
            const bool by_itself = launcher::reboot(context.paths, instance, options.asking(), context.stop);
            outcomes.add(instance, instance, by_itself ? "reboots" : "was reset", {{"by_itself", by_itself}});
        });
    }
    outcomes.print();
}

void terminate(Context& context, const LifeOptions& options)
{
    const std::vector<Instance> instances = resolve_all(context, options.references);
    for (const Instance& instance : instances) {
        if (instance.termination_protection && instance.state != InstanceState::terminated) {
            throw Error(ErrorKind::conflict,
                        fmt::format("{} is protected from termination; none was terminated", instance.id),
                        fmt::format("`kiln instance modify {} --no-disable-api-termination`", instance.id));
        }
    }
    Outcomes outcomes(context);
    for (const Instance& instance : instances) {
        outcomes.run(instance, instances.size() == 1, [&] {
            if (instance.state != InstanceState::terminated) {
                const auto patience =
                    options.os_shutdown ? patience_for(context, instance, options) : std::chrono::seconds(0);
                launcher::terminate(context.paths, instance, patience, context.stop);
            }
            Instance now = instance;
            now.state = InstanceState::terminated;
            outcomes.add(instance, now);
        });
    }
    outcomes.print();
}

void wait_for(Context& context, const std::vector<std::string>& references, const std::string& what, unsigned timeout)
{
    const std::vector<Instance> instances = resolve_all(context, references);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(timeout);
    Json json = Json::array();
    std::string text;
    for (const Instance& instance : instances) {
        const auto limit = timeout == 0
                               ? ready_timeout(context, instance)
                               : std::max(std::chrono::seconds(0), std::chrono::duration_cast<std::chrono::seconds>(
                                                                       deadline - std::chrono::steady_clock::now()));
        if (what == "ready") {
            const std::string word = launcher::wait_until_ready(context.paths, instance, limit, context.stop);
            json.push_back({{"instance_id", instance.id}, {"guest", word}});
            text += fmt::format("{}  {}\n", instance.id, word);
        } else {
            const Instance now = launcher::wait_for_state(context.paths, instance.id,
                                                          launcher::parse_state(what).value(), limit, context.stop);
            json.push_back({{"instance_id", now.id}, {"state", name_of(now.state)}});
            text += fmt::format("{}  {}\n", now.id, name_of(now.state));
        }
    }
    // One instance as it always was: an object.
    print_result(context, json.size() == 1 ? json[0] : json, text);
}

struct ModifyOptions {
    std::string reference;
    std::string type;
    std::string shutdown_behavior;
    bool protect = false;
    bool unprotect = false;
};

void modify(Context& context, const ModifyOptions& options)
{
    if (options.type.empty() && options.shutdown_behavior.empty() && !options.protect && !options.unprotect) {
        throw Error(ErrorKind::usage, "there is nothing to modify", "`kiln instance modify --help` tells what can be");
    }
    launcher::Modification modification;
    if (!options.type.empty()) {
        modification.type = options.type;
    }
    if (!options.shutdown_behavior.empty()) {
        modification.shutdown_behavior = parse_shutdown_behavior(options.shutdown_behavior);
    }
    if (options.protect || options.unprotect) {
        modification.termination_protection = options.protect;
    }
    const Instance instance = launcher::resolve_instance(context.paths, options.reference);
    const Instance now = launcher::modify(context.paths, instance.id, modification, context.stop);
    print_result(context, to_json(now),
                 fmt::format("{}  {}  on shutdown: {}  termination protection: {}\n", now.id, now.type,
                             name_of(now.shutdown_behavior), now.termination_protection ? "on" : "off"));
}

} // namespace

launcher::ShutdownBehavior parse_shutdown_behavior(const std::string& text)
{
    return text == "terminate" ? launcher::ShutdownBehavior::terminate : launcher::ShutdownBehavior::stop;
}

void add_instance_life(CLI::App& instance, Context& context)
{
    auto options = std::make_shared<LifeOptions>();
    const auto add = [&](const char* name, const char* description, void (*work)(Context&, const LifeOptions&)) {
        CLI::App* command = instance.add_subcommand(name, description);
        command->add_option("instances", options->references, "Their ids or names")->required()->type_name("INSTANCE");
        on_run(*command, context, [&context, options, work] { work(context, *options); });
        return command;
    };
    const auto add_patience = [&](CLI::App* command) {
        command
            ->add_option("--patience", options->patience,
                         "How long the guest is waited for (default: 60 with KVM, else 240)")
            ->check(CLI::Range(1, 86400))
            ->type_name("SECONDS");
    };
    const auto add_skip = [&](CLI::App* command, const char* text) {
        command->add_flag("--skip-os-shutdown,--force", options->skip_os_shutdown, text);
    };
    CLI::App* start_command = add("start", "Start stopped instances, once their AMI is verified again", start);
    add_allow_unsigned(*start_command, options->allow_unsigned);
    CLI::App* stop_command = add("stop", "Shut instances down; they keep their disks", stop);
    add_patience(stop_command);
    add_skip(stop_command, "Do not ask the guest, which may lose what it has not written");
    stop_command->add_flag("--no-wait", options->no_wait, "Return while they are still stopping");
    CLI::App* reboot_command = add("reboot", "Have guests reboot; one that does not is reset", reboot);
    add_patience(reboot_command);
    add_skip(reboot_command, "Do not ask the guest: reset it at once");
    CLI::App* terminate_command = add("terminate", "End instances and remove all that is theirs", terminate);
    terminate_command->add_flag("--os-shutdown", options->os_shutdown,
                                "Shut the guest down first, for what it tells others on its way");
    add_patience(terminate_command);

    CLI::App* wait_command = instance.add_subcommand("wait", "Return when instances are up, or in another state");
    auto what = std::make_shared<std::string>("ready");
    auto timeout = std::make_shared<unsigned>(0);
    wait_command->add_option("instances", options->references, "Their ids or names")->required()->type_name("INSTANCE");
    wait_command->add_option("--for", *what, "ready (the guest says so), running, stopped or terminated")
        ->check(CLI::IsMember({"ready", "running", "stopped", "terminated"}))
        ->capture_default_str()
        ->type_name("STATE");
    wait_command
        ->add_option("--timeout", *timeout, "Give up then (default: 120 with KVM, else 600; more on a slow host)")
        ->check(CLI::Range(1, 86400))
        ->type_name("SECONDS");
    on_run(*wait_command, context,
           [&context, options, what, timeout] { wait_for(context, options->references, *what, *timeout); });

    CLI::App* modify_command = instance.add_subcommand("modify", "Change an instance's type, or how it may end");
    auto changes = std::make_shared<ModifyOptions>();
    modify_command->add_option("instance", changes->reference, "Its id or name")->required()->type_name("INSTANCE");
    modify_command->add_option("--type", changes->type, "Another instance type; of a stopped instance")
        ->type_name("TYPE");
    add_shutdown_behavior(*modify_command, changes->shutdown_behavior);
    auto* protect = modify_command->add_flag("--disable-api-termination", changes->protect,
                                             "Protect it: `kiln instance terminate` refuses");
    modify_command->add_flag("--no-disable-api-termination", changes->unprotect, "Take that protection away")
        ->excludes(protect);
    on_run(*modify_command, context, [&context, changes] { modify(context, *changes); });
}

void add_shutdown_behavior(CLI::App& command, std::string& behavior)
{
    command
        .add_option("--shutdown-behavior", behavior, "What a guest that powers itself off becomes: stop or terminate")
        ->check(CLI::IsMember({"stop", "terminate"}))
        ->type_name("WORD");
}

} // namespace kiln::cli
