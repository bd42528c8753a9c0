// SPDX-License-Identifier: Apache-2.0
#include "launcher/service_user.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

constexpr const char* variable = "KILN_SERVICE_USER";
constexpr const char* own_account = "kiln";
constexpr const char* account_of_nobody = "nobody";
constexpr const char* kvm_device = "/dev/kvm";

std::optional<ServiceUser> look_up(const char* name)
{
    const passwd* found = ::getpwnam(name);
    return found == nullptr ? std::nullopt
                            : std::optional(ServiceUser{.name = name, .uid = found->pw_uid, .gid = found->pw_gid});
}

std::optional<ServiceUser> chosen_user()
{
    if (const char* wish = std::getenv(variable); wish != nullptr && *wish != '\0') {
        auto user = look_up(wish);
        if (!user) {
            throw Error(ErrorKind::usage,
                        fmt::format("{} is \"{}\", and this host has no such user", variable, printable(wish, false)),
                        "make the account (adduser --system kiln), or unset the variable");
        }
        return user;
    }
    auto user = look_up(own_account);
    return user ? user : look_up(account_of_nobody);
}

// What the group of a device opens to who is in it. Never root's.
std::optional<gid_t> group_of_device()
{
    struct stat status {
    };
    const bool known = ::stat(kvm_device, &status) == 0;
    const bool needed = known && (status.st_mode & S_IWOTH) == 0 && (status.st_mode & S_IWGRP) != 0;
    return needed && status.st_gid != 0 ? std::optional(status.st_gid) : std::nullopt;
}

enum Obstacle : int { none, no_change, no_program, no_device };

// In a process of its own, which is what there is to try it.
Obstacle try_to_become(const ServiceUser& user, const char* program, bool kvm)
{
    const pid_t pid = ::fork();
    if (pid < 0) {
        throw system_error(errno, "starting a process");
    }
    if (pid == 0) {
        ::_exit(!become(user)                                   ? no_change
                : ::access(program, X_OK) != 0                  ? no_program
                : kvm && ::access(kvm_device, R_OK | W_OK) != 0 ? no_device
                                                                : none);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? static_cast<Obstacle>(WEXITSTATUS(status)) : no_change;
}

} // namespace

bool become(const ServiceUser& user) noexcept
{
    // The calls themselves: those of glibc tell threads that a child of fork(2) does not have.
    const gid_t groups[] = {user.device_group.value_or(0)};
    return ::syscall(SYS_setgroups, user.device_group ? 1 : 0, groups) == 0 &&
           ::syscall(SYS_setresgid, user.gid, user.gid, user.gid) == 0 &&
           ::syscall(SYS_setresuid, user.uid, user.uid, user.uid) == 0;
}

ServiceUserChoice find_service_user(const std::filesystem::path& program, Accelerator accelerator)
{
    if (::geteuid() != 0) {
        return {};
    }
    std::optional<ServiceUser> user = chosen_user();
    if (!user) {
        return {.user = {}, .reason = fmt::format("this host has no user {}", account_of_nobody)};
    }
    if (user->uid == 0) {
        return {.user = {}, .reason = fmt::format("{} says so", variable)};
    }
    const bool kvm = accelerator == Accelerator::kvm;
    user->device_group = kvm ? group_of_device() : std::nullopt;
    switch (try_to_become(*user, program.c_str(), kvm)) {
    case none:
        return {.user = std::move(user)};
    case no_program:
        return {.user = {}, .reason = fmt::format("{} may not run {}", user->name, program.native())};
    case no_device:
        return {.user = {}, .reason = fmt::format("{} may not open {}", user->name, kvm_device)};
    case no_change:
        break;
    }
    return {.user = {}, .reason = fmt::format("this process may not become {}", user->name)};
}

} // namespace kiln::launcher
