// SPDX-License-Identifier: Apache-2.0
// kiln instance list|show|exec|terminate (snapshot has a file of its own)
#include "cli/context.h"
#include "cli/instance_text.h"
#include "cli/launch_image.h"
#include "core/error.h"
#include "core/text.h"
#include "launcher/guest.h"
#include "launcher/launch.h"

#include <fmt/format.h>

#include <iostream>
#include <iterator>

namespace kiln::cli
{
namespace
{

// What `exec` exits with when Kiln itself failed; every other status is the command's own.
constexpr int exec_failed = 125;

void list(const Context& context)
{
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"INSTANCE ID", "NAME", "STATE", "TYPE", "IMAGE", "SSH PORT"}};
    for (const launcher::Instance& instance : launcher::list_instances(context.paths)) {
        json.push_back(to_json(instance));
        rows.push_back(
            {instance.id, instance.name.value_or("-"), std::string(name_of(instance.state)), instance.type,
             instance.image_name + "@" + instance.image_version + (instance.unsigned_image ? " (UNSIGNED)" : ""),
             std::to_string(instance.ssh_port)});
    }
    print_result(context, json,
                 rows.size() == 1 ? "There is no instance; `kiln run AMI` launches one.\n" : table(rows));
}

void show(const Context& context, const std::string& reference)
{
    const launcher::Instance instance = launcher::resolve_instance(context.paths, reference);
    print_result(context, to_json(instance), how_to_reach(instance));
}

void wait_for(const Context& context, const std::string& reference)
{
    const launcher::Instance instance = launcher::resolve_instance(context.paths, reference);
    const std::string word = launcher::wait_until_ready(context.paths, instance, ready_timeout(instance), context.stop);
    print_result(context, {{"instance_id", instance.id}, {"guest", word}}, fmt::format("{}  {}\n", instance.id, word));
}

void exec(Context& context, const std::string& reference, const std::vector<std::string>& argv, bool pass_input,
          unsigned timeout)
{
    context.exit_status = exec_failed; // for an Error from here on
    const launcher::Instance instance = launcher::resolve_instance(context.paths, reference);
    const std::string input =
        pass_input ? std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>())
                   : std::string();
    const launcher::ExecResult result =
        launcher::exec(context.paths, instance, argv, input, std::chrono::seconds(timeout), context.stop);
    if (context.json) {
        print_result(context,
                     {{"instance_id", instance.id},
                      {"status", result.status},
                      {"output", printable(result.output)},
                      {"errors", printable(result.errors)},
                      {"truncated", result.truncated}},
                     "");
    } else {
        // The bytes as they are: this is the guest's own output, asked for by the user.
        std::cout << result.output << std::flush;
        std::cerr << result.errors << std::flush;
    }
    if (result.truncated) {
        fmt::print(stderr, "kiln: the guest agent cut the output off\n");
    }
    context.exit_status = result.status;
}

void terminate(const Context& context, const std::vector<std::string>& references)
{
    std::vector<launcher::Instance> instances;
    instances.reserve(references.size());
    for (const std::string& reference : references) { // all of them exist, or none is touched
        instances.push_back(launcher::resolve_instance(context.paths, reference));
    }
    Json json = Json::array();
    std::string text;
    for (const launcher::Instance& instance : instances) {
        launcher::terminate(context.paths, instance);
        json.push_back({{"instance_id", instance.id}, {"state", name_of(launcher::InstanceState::terminated)}});
        text += fmt::format("{}  terminated\n", instance.id);
    }
    print_result(context, json, text);
}

} // namespace

std::string how_to_reach(const launcher::Instance& instance)
{
    std::string text = fmt::format("{}  {}@{}  {}  {}\n", instance.id, instance.image_name, instance.image_version,
                                   instance.type, name_of(instance.state));
    if (!instance.state_reason.empty()) {
        text += fmt::format("  why        {}\n", printable(instance.state_reason, false));
    }
    if (instance.unsigned_image) {
        text += fmt::format("  UNSIGNED   {}\n", printable(*instance.unsigned_image, false));
    }
    if (instance.state == launcher::InstanceState::running || instance.state == launcher::InstanceState::pending) {
        text += fmt::format("  command    kiln instance exec {} -- COMMAND\n", instance.id);
        text +=
            fmt::format("  ssh        ssh -i {} -p {} root@127.0.0.1\n", instance.ssh_key.native(), instance.ssh_port);
    }
    return text + fmt::format("  terminate  kiln instance terminate {}\n", instance.id);
}

void add_instance(CLI::App& app, Context& context)
{
    CLI::App* instance = app.add_subcommand("instance", "List, use, snapshot and terminate instances");
    instance->require_subcommand(1);
    CLI::App* list_command = instance->add_subcommand("list", "The instances, oldest first");
    on_run(*list_command, context, [&context] { list(context); });

    auto reference = std::make_shared<std::string>();
    const auto add = [&](const char* name, const char* description) {
        CLI::App* command = instance->add_subcommand(name, description);
        command->add_option("instance", *reference, "Its id or name")->required()->type_name("INSTANCE");
        return command;
    };
    on_run(*add("show", "How to reach an instance, and all about it with --json"), context,
           [&context, reference] { show(context, *reference); });
    on_run(*add("wait", "Return when the guest says that it is up"), context,
           [&context, reference] { wait_for(context, *reference); });

    CLI::App* exec_command = add("exec", "Run a command in the guest; its output and exit status come back");
    auto argv = std::make_shared<std::vector<std::string>>();
    auto pass_input = std::make_shared<bool>(false);
    auto timeout = std::make_shared<unsigned>(3600);
    exec_command->add_flag("-i,--stdin", *pass_input, "Pass standard input on (whole, before the command starts)");
    exec_command->add_option("--timeout", *timeout, "Give up after so many seconds")
        ->capture_default_str()
        ->type_name("SECONDS");
    exec_command->add_option("command", *argv, "After --, the program and its arguments; there is no shell between")
        ->required()
        ->type_name("COMMAND");
    on_run(*exec_command, context, [&context, reference, argv, pass_input, timeout] {
        exec(context, *reference, *argv, *pass_input, *timeout);
    });

    CLI::App* terminate_command = instance->add_subcommand("terminate", "End instances and remove all that is theirs");
    auto references = std::make_shared<std::vector<std::string>>();
    terminate_command->add_option("instances", *references, "Their ids or names")->required()->type_name("INSTANCE");
    on_run(*terminate_command, context, [&context, references] { terminate(context, *references); });

    add_instance_snapshot(*instance, context);
}

} // namespace kiln::cli
