// SPDX-License-Identifier: Apache-2.0
// Users and groups, by the guest's own tools: they know its defaults. Keys and the home's owner go by the ids in
// its /etc/passwd.
#include "builder/guest_accounts.h"
#include "builder/memory_folder.h"
#include "builder/run_script.h"
#include "builder/step_kinds.h"
#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

std::string home_of(const recipes::UserStep& step)
{
    return step.home.empty() ? "/home/" + step.name : step.home;
}

// A system user gets a home only when the recipe names one, or puts something there.
bool has_home(const recipes::UserStep& step)
{
    return !step.system || !step.home.empty() || !step.ssh_authorized_keys.empty();
}

std::vector<std::string> useradd_argv(const recipes::UserStep& step)
{
    std::vector<std::string> argv = {"useradd",    has_home(step) ? "--create-home" : "--no-create-home",
                                     "--home-dir", home_of(step),
                                     "--shell",    step.shell};
    if (step.system) {
        argv.emplace_back("--system");
    }
    if (step.uid) {
        argv.insert(argv.end(), {"--uid", std::to_string(*step.uid)});
    }
    if (!step.comment.empty()) {
        argv.insert(argv.end(), {"--comment", step.comment});
    }
    if (!step.groups.empty()) {
        argv.insert(argv.end(), {"--groups", join(step.groups, ",")});
    }
    argv.insert(argv.end(), {"--", step.name});
    return argv;
}

// Without one the account stays as useradd made it: locked.
void set_password(const StepContext& context, const std::string& user, const std::string& hash)
{
    const MemoryFolder folder(context.appliance, run_folder, mebibytes(1));
    context.appliance.write_secret(folder.file("password"), fmt::format("{}:{}\n", user, hash));
    run_logged(context, {"/bin/sh", "-c", fmt::format("exec chpasswd -e <{}", folder.file("password"))});
}

void allow_sudo(Appliance& appliance, const std::string& user)
{
    const std::string file = "/etc/sudoers.d/90-kiln-" + user;
    appliance.make_directories("/etc/sudoers.d");
    appliance.write_file(file, user + " ALL=(ALL) NOPASSWD:ALL\n");
    appliance.set_mode(file, 0440);
}

void authorize_keys(Appliance& appliance, const recipes::UserStep& step)
{
    const std::vector<GuestUser> users = parse_passwd(read_passwd(appliance));
    const auto user = std::ranges::find(users, step.name, &GuestUser::name);
    if (user == users.end()) {
        throw Error(ErrorKind::step_failed, fmt::format("useradd did not add \"{}\" to /etc/passwd", step.name));
    }
    const std::string folder = home_of(step) + "/.ssh";
    const std::string file = folder + "/authorized_keys";
    appliance.make_directories(folder);
    appliance.write_file(file, join(step.ssh_authorized_keys, "\n") + "\n");
    appliance.set_mode(folder, 0700);
    appliance.set_mode(file, 0600);
    appliance.set_owner(folder, user->id, user->group);
    appliance.set_owner(file, user->id, user->group);
}

} // namespace

void apply(const StepContext& context, const recipes::UserStep& step)
{
    if (has_home(step)) {
        context.appliance.make_directories(fs::path(home_of(step)).parent_path());
    }
    run_logged(context, useradd_argv(step));
    if (step.password_hash) {
        set_password(context, step.name, *step.password_hash);
    }
    if (step.sudo) {
        allow_sudo(context.appliance, step.name);
    }
    if (!step.ssh_authorized_keys.empty()) {
        authorize_keys(context.appliance, step);
    }
}

// A group that exists already gets the members; its id must be the one that the recipe wants.
void apply(const StepContext& context, const recipes::GroupStep& step)
{
    const auto id = find_group_id(read_group(context.appliance), step.name);
    if (id && step.gid && *id != *step.gid) {
        throw Error(ErrorKind::step_failed,
                    fmt::format("the image's group \"{}\" has the id {}, not {}", step.name, *id, *step.gid));
    }
    if (!id) {
        std::vector<std::string> argv = {"groupadd"};
        if (step.system) {
            argv.emplace_back("--system");
        }
        if (step.gid) {
            argv.insert(argv.end(), {"--gid", std::to_string(*step.gid)});
        }
        argv.insert(argv.end(), {"--", step.name});
        run_logged(context, argv);
    }
    for (const std::string& member : step.members) {
        run_logged(context, {"usermod", "--append", "--groups", step.name, "--", member});
    }
}

} // namespace kiln::builder
