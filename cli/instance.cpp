// SPDX-License-Identifier: Apache-2.0
// kiln instance show|exec; the others have files of their own.
#include "cli/context.h"
#include "cli/instance_commands.h"
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

std::string launch_text(const launcher::Instance& instance)
{
    if (!instance.warm) {
        return "cold";
    }
    return instance.warm->launched_warm ? fmt::format("warm, from the template {}", instance.warm->template_id)
                                        : fmt::format("cold: {}", printable(instance.warm->reason, false));
}

std::string volume_line(const launcher::Instance& instance, const launcher::InstanceDisk& disk)
{
    const bool gone = instance.state == launcher::InstanceState::terminated;
    return fmt::format("  volume     {}  {}{}{}{}\n", disk.device, to_string(disk.size),
                       disk.volume_id.empty() ? "" : "  " + disk.volume_id,
                       disk.volume_id.empty() || disk.delete_on_termination ? "" : "  outlives it",
                       gone ? "  (gone)" : "");
}

// Everything else that a person may want to know.
std::string details_of(const Context& context, const launcher::Instance& instance)
{
    std::string text = fmt::format("  image      {} in region {}\n", instance.image_id, instance.region);
    text += fmt::format("  machine    {} vCPUs, {} of memory, {}, {}\n", instance.vcpus, to_string(instance.memory),
                        instance.boot_mode, name_of(instance.accelerator));
    text += fmt::format("  launched   {}{}\n", instance.launched,
                        instance.started.empty() ? "" : fmt::format(", last started {}", instance.started));
    text += fmt::format("  launch     {}\n", launch_text(instance));
    if (instance.confined.is_object()) {
        text += fmt::format("  QEMU runs  as {}\n", printable(instance.confined.value("user", ""), false));
    }
    for (const launcher::InstanceDisk& disk : instance.disks) {
        text += volume_line(instance, disk);
    }
    for (const launcher::InstanceDisk& disk : instance.volumes) {
        text += volume_line(instance, disk);
    }
    if (!instance.key_name.empty()) {
        text += fmt::format("  key pair   {}\n", printable(instance.key_name, false));
    }
    text += fmt::format("  network    {}\n", instance.network);
    for (const launcher::Forward& forward : instance.forwards) {
        text += fmt::format("  port       127.0.0.1:{} -> {}\n", forward.host_port, forward.guest_port);
    }
    text += fmt::format("  metadata   {}, hop limit {}{}\n", instance.metadata.v1 ? "v1 and v2" : "v2",
                        instance.metadata.hop_limit, instance.metadata.tags ? ", with tags" : "");
    text += fmt::format("  shutdown   by the guest: {}\n", name_of(instance.shutdown_behavior));
    if (instance.client_token) {
        text += fmt::format("  token      {}\n", instance.client_token->token);
    }
    const launcher::InstancePaths files(context.paths, instance.id);
    return text + fmt::format("  folder     {}\n", instance.state == launcher::InstanceState::terminated
                                                       ? files.ended.native()
                                                       : files.folder.native());
}

void show(const Context& context, const std::string& reference)
{
    const launcher::Instance instance = launcher::resolve_instance(context.paths, reference);
    print_result(context, to_json(instance), how_to_reach(instance) + details_of(context, instance));
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

} // namespace

std::string how_to_reach(const launcher::Instance& instance)
{
    using launcher::InstanceState;
    std::string text = fmt::format("{}  {}@{}  {}  {}\n", instance.id, instance.image_name, instance.image_version,
                                   instance.type, name_of(instance.state));
    if (!instance.state_reason.empty()) {
        text += fmt::format("  why        {}\n", printable(instance.state_reason, false));
    }
    if (instance.unsigned_image) {
        text += fmt::format("  UNSIGNED   {}\n", printable(*instance.unsigned_image, false));
    }
    if (!instance.private_ip_address.empty()) {
        text += fmt::format("  address    {} in {}\n", instance.private_ip_address, instance.vpc_id);
    }
    for (const std::string& group : instance.security_groups) {
        text += fmt::format("  group      {}\n", group);
    }
    for (const auto& [key, value] : instance.tags) {
        text += fmt::format("  tag        {}={}\n", key, value);
    }
    if (instance.state == InstanceState::running || instance.state == InstanceState::pending) {
        text += fmt::format("  command    kiln instance exec {} -- COMMAND\n", instance.id);
        if (instance.ssh_port != 0) { // 0: no network, or the security groups don't let it in
            text += fmt::format("  ssh        ssh -i {} -p {} root@127.0.0.1\n", instance.ssh_key.native(),
                                instance.ssh_port);
        }
    } else if (instance.state == InstanceState::stopped) {
        text += fmt::format("  start      kiln instance start {}\n", instance.id);
    }
    if (instance.state == InstanceState::terminated) {
        return text;
    }
    return text + (instance.termination_protection
                       ? "  protected from termination\n"
                       : fmt::format("  terminate  kiln instance terminate {}\n", instance.id));
}

void add_instance(CLI::App& app, Context& context)
{
    CLI::App* instance = app.add_subcommand("instance", "List, use, stop, start, snapshot, terminate instances");
    instance->require_subcommand(1);
    add_instance_list(*instance, context);

    auto reference = std::make_shared<std::string>();
    const auto add = [&](const char* name, const char* description) {
        CLI::App* command = instance->add_subcommand(name, description);
        command->add_option("instance", *reference, "Its id or name")->required()->type_name("INSTANCE");
        return command;
    };
    on_run(*add("show", "How to reach an instance, and all about it with --json"), context,
           [&context, reference] { show(context, *reference); });
    add_instance_life(*instance, context);
    add_instance_console(*instance, context);
    add_instance_access(*instance, context);
    add_instance_copy(*instance, context);
    add_instance_tag(*instance, context);

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

    add_instance_snapshot(*instance, context);
}

} // namespace kiln::cli
