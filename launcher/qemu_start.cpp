// SPDX-License-Identifier: Apache-2.0
#include "launcher/qemu_start.h"

#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "launcher/cgroup.h"
#include "launcher/instance_store.h"
#include "launcher/launch.h"
#include "launcher/passed_files.h"
#include "launcher/qemu_command.h"
#include "launcher/qemu_process.h"
#include "launcher/storage/volume_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

// The frames' sockets, which QEMU alone makes in its folder: for this user alone, or for QEMU's user and root, whom the
// folder lets in.
constexpr mode_t own_mask = 0177;
constexpr mode_t shared_mask = 0111;
constexpr mode_t shared_folder = 0770;
constexpr rlim_t many_files = 8192; // disks of many layers, opened here

Json text_or_null(const std::string& text)
{
    return text.empty() ? Json() : Json(text);
}

std::string name_of_this_user()
{
    const passwd* user = ::getpwuid(::geteuid());
    return user == nullptr ? std::to_string(::geteuid()) : user->pw_name;
}

// Empty. Where QEMU is another user's, root's helper is there by the folder's group, as it has no capability.
void make_frames_folder(const std::filesystem::path& folder, const std::optional<ServiceUser>& user)
{
    std::filesystem::remove_all(folder);
    make_directories(folder, 0700);
    if (user && (::chown(folder.c_str(), user->uid, ::getegid()) != 0 || ::chmod(folder.c_str(), shared_folder) != 0)) {
        throw system_error(errno, fmt::format("giving {} to {}", folder.native(), user->name));
    }
}

void allow_many_files()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < many_files) {
        limit.rlim_cur = std::min(limit.rlim_max, many_files);
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

} // namespace

QemuPlace prepare_place(const Paths& paths, const Instance& instance, const InstancePaths& files)
{
    QemuPlace place{.confinement = confinement_of(paths), .confined = {}};
    Confinement& confinement = place.confinement;
    const auto program = find_program(qemu_argv(instance, files).at(0));
    const ServiceUserChoice choice = find_service_user(program.value_or(""), instance.accelerator);
    if (choice.user) { // whose home it is does not matter then
        confinement.user = choice.user;
        confinement.drop_capabilities = true;
        confinement.kept.clear();
    }
    const CgroupAttempt cgroup = make_cgroup(instance.id, {.memory = instance.memory, .vcpus = instance.vcpus});
    confinement.cgroup = cgroup.folder;
    place.confined = {{"user", choice.user ? choice.user->name : name_of_this_user()},
                      {"user_reason", text_or_null(choice.reason)},
                      {"capabilities", confinement.kept.empty() ? Json("none") : Json(confinement.kept)},
                      {"cgroup", text_or_null(cgroup.folder.native())},
                      {"cgroup_reason", text_or_null(cgroup.reason)}};
    make_frames_folder(files.frames, confinement.user);
    return place;
}

pid_t start_qemu(const Instance& instance, const InstancePaths& files, const QemuPlace& place,
                 const std::filesystem::path& log, const FileDescriptor& memory)
{
    allow_many_files();
    const PassedArgv passed = pass_files(qemu_argv(instance, files), memory);
    std::vector<int> inherited(passed.files.size());
    std::ranges::transform(passed.files, inherited.begin(), &FileDescriptor::get);
    return start_detached(passed.argv, log,
                          {.mask = place.confinement.user ? shared_mask : own_mask,
                           .confinement = place.confinement,
                           .inherited = inherited,
                           .folder = passed.folder.empty() ? "/" : passed.folder,
                           .pid_file = passed.pid_file});
}

int print_qemu_command(const Paths& paths, const std::string& id)
{
    const InstancePaths files(paths, id);
    for (const std::string& word : qemu_argv(with_volumes(paths, load_record(files)), files)) {
        static_cast<void>(std::fwrite(word.c_str(), 1, word.size() + 1, stdout));
    }
    return 0;
}

} // namespace kiln::launcher
