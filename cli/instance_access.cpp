// SPDX-License-Identifier: Apache-2.0
// kiln instance ssh, port and screenshot.
#include "cli/instance_commands.h"
#include "core/error.h"
#include "core/output_file.h"
#include "core/process.h"
#include "core/text.h"
#include "launcher/access.h"
#include "launcher/vpc/membership.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

using launcher::Instance;

Instance running_instance(const Context& context, const std::string& reference)
{
    Instance instance = launcher::resolve_instance(context.paths, reference);
    if (instance.state != launcher::InstanceState::running) {
        throw Error(ErrorKind::launch, fmt::format("{} is {}", instance.id, name_of(instance.state)),
                    instance.state == launcher::InstanceState::stopped
                        ? fmt::format("`kiln instance start {}`", instance.id)
                        : "");
    }
    return instance;
}

// The host key is believed when it is first seen, and kept with the instance, not with the user's known hosts: other
// instances come on the same port.
std::vector<std::string> ssh_argv(const Instance& instance, const std::string& user,
                                  const std::vector<std::string>& command)
{
    std::vector<std::string> argv = {
        "ssh",
        "-i",
        instance.ssh_key.native(),
        "-p",
        std::to_string(instance.ssh_port),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "StrictHostKeyChecking=accept-new",
        "-o",
        fmt::format("UserKnownHostsFile=\"{}\"", (instance.ssh_key.parent_path() / "known_hosts").native()),
        "-o",
        "HostKeyAlias=" + instance.id,
        "-o",
        "LogLevel=ERROR",
        "--",
        fmt::format("{}@127.0.0.1", user)};
    argv.insert(argv.end(), command.begin(), command.end());
    return argv;
}

// Becomes ssh: its exit status, its terminal and its signals are the caller's.
void ssh(const Context& context, const std::string& reference, const std::string& user,
         const std::vector<std::string>& command)
{
    const Instance instance = running_instance(context, reference);
    if (user.empty() || user.find_first_of("@ \t\n") != std::string::npos || user.front() == '-') {
        throw Error(ErrorKind::usage, fmt::format("--user \"{}\" is no user", printable(user, false)));
    }
    if (instance.ssh_port == 0) {
        launcher::require_forwardable(context.paths, instance, 22);
        throw Error(ErrorKind::launch, fmt::format("ssh of {} is not forwarded", instance.id),
                    fmt::format("`kiln instance exec {}` needs no network", instance.id));
    }
    std::vector<std::string> argv = ssh_argv(instance, user, command);
    if (context.json) { // for who wants to connect by other means
        print_result(context, {{"instance_id", instance.id}, {"argv", argv}}, "");
        return;
    }
    require_program("ssh", "openssh-client");
    std::vector<char*> arguments;
    arguments.reserve(argv.size() + 1);
    for (std::string& argument : argv) {
        arguments.push_back(argument.data());
    }
    arguments.push_back(nullptr);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr); // main blocks what it watches
    static_cast<void>(::signal(SIGPIPE, SIG_DFL));
    ::execvp(arguments[0], arguments.data());
    throw system_error(errno, "starting ssh");
}

Json to_json(const launcher::Forward& forward)
{
    return {{"host_port", forward.host_port}, {"guest_port", forward.guest_port}};
}

std::string to_text(const launcher::Forward& forward)
{
    return fmt::format("127.0.0.1:{} -> {}\n", forward.host_port, forward.guest_port);
}

void list_ports(const Context& context, const std::string& reference)
{
    const Instance instance = launcher::resolve_instance(context.paths, reference);
    Json json = Json::array();
    std::string text;
    if (instance.ssh_port != 0) {
        json.push_back({{"host_port", instance.ssh_port}, {"guest_port", 22}});
        text += fmt::format("127.0.0.1:{} -> 22  (ssh)\n", instance.ssh_port);
    }
    for (const launcher::Forward& forward : instance.forwards) {
        json.push_back(to_json(forward));
        text += to_text(forward);
    }
    print_result(context, json, text);
}

void screenshot(const Context& context, const std::string& reference, const std::string& file)
{
    const Instance instance = running_instance(context, reference);
    if (file == "-" && ::isatty(STDOUT_FILENO) == 1) {
        throw Error(ErrorKind::usage, "a picture is nothing for a terminal", "name a file, like screen.png");
    }
    const std::string png = launcher::screenshot(context.paths, instance, context.stop);
    if (file == "-") {
        fmt::print("{}", png);
        return;
    }
    OutputFile output(file);
    if (::write(output.get(), png.data(), png.size()) != static_cast<ssize_t>(png.size())) {
        throw system_error(errno, "writing " + file);
    }
    output.commit();
    print_result(context, {{"instance_id", instance.id}, {"file", file}, {"size", png.size()}},
                 fmt::format("{}\n", file));
}

void add_ports(CLI::App& instance, Context& context)
{
    CLI::App* port = instance.add_subcommand("port", "Forward ports of 127.0.0.1 to an instance");
    port->require_subcommand(1);
    auto reference = std::make_shared<std::string>();
    auto guest = std::make_shared<std::uint16_t>();
    auto host = std::make_shared<std::uint16_t>();
    const auto add = [&](const char* name, const char* description) {
        CLI::App* command = port->add_subcommand(name, description);
        command->add_option("instance", *reference, "Its id or name")->required()->type_name("INSTANCE");
        return command;
    };
    on_run(*add("list", "What is forwarded"), context, [&context, reference] { list_ports(context, *reference); });
    CLI::App* add_command = add("add", "Forward a port, also after the next start");
    add_command->add_option("guest-port", *guest, "The guest's TCP port")
        ->required()
        ->check(CLI::Range(1, 65535))
        ->type_name("PORT");
    add_command->add_option("--host-port", *host, "This host's (default: a free one)")
        ->check(CLI::Range(1, 65535))
        ->type_name("PORT");
    on_run(*add_command, context, [&context, reference, guest, host] {
        const launcher::Forward forward =
            launcher::add_port(context.paths, running_instance(context, *reference), *guest, *host, context.stop);
        print_result(context, to_json(forward), to_text(forward));
    });
    CLI::App* remove_command = add("remove", "Forward a port no longer");
    remove_command->add_option("host-port", *host, "The host's port")
        ->required()
        ->check(CLI::Range(1, 65535))
        ->type_name("PORT");
    on_run(*remove_command, context, [&context, reference, host] {
        const Instance named = launcher::resolve_instance(context.paths, *reference);
        launcher::remove_port(context.paths, named, *host, context.stop);
        print_result(context, {{"instance_id", named.id}, {"host_port", *host}}, "");
    });
}

} // namespace

void add_instance_access(CLI::App& instance, Context& context)
{
    auto reference = std::make_shared<std::string>();
    CLI::App* ssh_command = instance.add_subcommand("ssh", "Log in, or run a command, with ssh and the launch's key");
    auto user = std::make_shared<std::string>("root");
    auto words = std::make_shared<std::vector<std::string>>();
    ssh_command->add_option("instance", *reference, "Its id or name")->required()->type_name("INSTANCE");
    ssh_command->add_option("-l,--user", *user, "Who to log in as")->capture_default_str()->type_name("USER");
    ssh_command->add_option("command", *words, "After --, for the guest's shell")->type_name("COMMAND");
    on_run(*ssh_command, context, [&context, reference, user, words] { ssh(context, *reference, *user, *words); });

    CLI::App* screenshot_command = instance.add_subcommand("screenshot", "Take a picture of the guest's display");
    auto file = std::make_shared<std::string>();
    screenshot_command->add_option("instance", *reference, "Its id or name")->required()->type_name("INSTANCE");
    screenshot_command->add_option("file", *file, "A new PNG file, or - for standard output")
        ->required()
        ->type_name("FILE");
    on_run(*screenshot_command, context, [&context, reference, file] { screenshot(context, *reference, *file); });

    add_ports(instance, context);
}

} // namespace kiln::cli
