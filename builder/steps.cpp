// SPDX-License-Identifier: Apache-2.0
#include "builder/steps.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <charconv>

namespace kiln::builder
{
namespace
{

using recipes::FileStep;
using recipes::RunStep;
using recipes::ServiceStep;
using recipes::UserStep;

constexpr std::string_view script_path = "/tmp/.kiln-step";
constexpr std::string_view log_path = "/tmp/.kiln-step.log";
constexpr int timed_out_status = 124; // timeout(1)

struct Apply {
    Appliance& appliance;

    void operator()(const FileStep& step) const
    {
        appliance.make_directories(std::filesystem::path(step.path).parent_path());
        appliance.write_file(step.path, step.content);
        appliance.run({"chown", "--", step.owner + ":" + step.group, step.path});
        appliance.set_mode(step.path, step.mode); // after chown, which clears set-id bits
    }

    void operator()(const RunStep& step) const
    {
        appliance.write_file(std::string(script_path), step.script);
        const std::string status_text =
            appliance.run({"/bin/sh", "-c",
                           fmt::format("timeout -k 10 {} /bin/sh -e {} </dev/null >{} 2>&1; echo $?",
                                       step.timeout.count(), script_path, log_path)});
        int status = -1;
        std::from_chars(status_text.data(), status_text.data() + status_text.size(), status);
        const std::string log = status == 0 ? "" : appliance.read_file(std::string(log_path));
        appliance.remove_recursively(std::string(script_path));
        appliance.remove_recursively(std::string(log_path));
        if (status == timed_out_status) {
            throw Error(ErrorKind::step_failed,
                        fmt::format("the script did not end within {} s; its last output: {}", step.timeout.count(),
                                    printable(tail_lines(log, 10))),
                        "raise `timeout` of the step, or make the script quicker");
        }
        if (status != 0) {
            const std::string output = printable(tail_lines(log, 10));
            throw Error(ErrorKind::step_failed,
                        fmt::format("the script exited with status {}{}", status,
                                    output.empty() ? " and printed nothing" : "; its last output:\n" + output),
                        "correct the step and build again; nothing was published");
        }
    }

    void operator()(const UserStep& step) const
    {
        std::vector<std::string> argv = {"useradd", "--create-home", "--shell", step.shell};
        if (!step.groups.empty()) {
            argv.insert(argv.end(), {"--groups", join(step.groups, ",")});
        }
        argv.insert(argv.end(), {"--", step.name});
        appliance.run(argv);
        if (step.sudo) {
            const std::string file = "/etc/sudoers.d/90-kiln-" + step.name;
            appliance.make_directories("/etc/sudoers.d");
            appliance.write_file(file, step.name + " ALL=(ALL) NOPASSWD:ALL\n");
            appliance.set_mode(file, 0440);
        }
        if (!step.ssh_authorized_keys.empty()) {
            const std::string folder = fmt::format("/home/{}/.ssh", step.name);
            appliance.make_directories(folder);
            appliance.write_file(folder + "/authorized_keys", join(step.ssh_authorized_keys, "\n") + "\n");
            appliance.set_mode(folder, 0700);
            appliance.set_mode(folder + "/authorized_keys", 0600);
            appliance.run({"chown", "-R", "--", step.name + ":", folder});
        }
    }

    void operator()(const ServiceStep& step) const
    {
        appliance.run({"systemctl", step.state == ServiceStep::State::enabled ? "enable" : "disable", "--", step.name});
    }

    template <class Other> void operator()(const Other& /*step*/) const
    {
        throw Error(ErrorKind::internal, "this kind of step has no builder yet");
    }
};

} // namespace

void apply_step(Appliance& appliance, const recipes::Recipe& recipe, const recipes::Step& step)
{
    try {
        std::visit(Apply{appliance}, step.action);
    } catch (Error& error) {
        error.at(fmt::format("{}:{}:{}", recipe.file.native(), step.position.line, step.position.column))
            .while_doing(title_of(step));
        throw;
    }
}

bool needs_network(const recipes::Step& step)
{
    const auto* run = std::get_if<RunStep>(&step.action);
    return run != nullptr && run->network;
}

} // namespace kiln::builder
