// SPDX-License-Identifier: Apache-2.0
#include "launcher/guest_programs/guest_system.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kiln::guest
{
namespace
{

constexpr timespec poll_interval{0, 5'000'000};
constexpr int polls_per_second = 200;

void write_all(int fd, const std::string& bytes, const std::string& path)
{
    for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t written = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (written < 0 && errno != EINTR) {
            ::close(fd);
            fail("writing " + path);
        }
        done += written > 0 ? static_cast<std::size_t>(written) : 0;
    }
}

} // namespace

void fail(const std::string& doing)
{
    throw Failure{doing + ": " + std::strerror(errno)};
}

std::optional<std::string> read_file(const std::string& path)
{
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return std::nullopt;
    }
    std::string content;
    char buffer[4096];
    ssize_t got = 0;
    while ((got = ::read(fd, buffer, sizeof buffer)) > 0) {
        content.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(fd);
    return got < 0 ? std::nullopt : std::optional(content);
}

void replace_file(const std::string& path, const std::string& content, mode_t mode)
{
    struct stat before {
    };
    const bool was_there = ::lstat(path.c_str(), &before) == 0 && S_ISREG(before.st_mode);
    const std::string temporary = path + ".kiln-clone";
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail("making " + temporary);
    }
    write_all(fd, content, temporary);
    const bool kept = ::fchown(fd, was_there ? before.st_uid : 0, was_there ? before.st_gid : 0) == 0 &&
                      ::fchmod(fd, was_there ? before.st_mode & 07777U : mode) == 0;
    ::close(fd);
    if (!kept || ::rename(temporary.c_str(), path.c_str()) != 0) {
        fail("replacing " + path);
    }
}

void write_into(const std::string& path, const std::string& text)
{
    const int fd = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0) {
        fail("opening " + path);
    }
    write_all(fd, text, path);
    if (::close(fd) != 0) {
        fail("writing " + path);
    }
}

bool exists(const std::string& path)
{
    return ::access(path.c_str(), F_OK) == 0;
}

std::vector<std::string> list(const std::string& folder)
{
    std::vector<std::string> names;
    DIR* open = ::opendir(folder.c_str());
    if (open == nullptr) {
        return names;
    }
    while (const dirent* entry = ::readdir(open)) {
        if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) {
            names.emplace_back(entry->d_name);
        }
    }
    ::closedir(open);
    std::sort(names.begin(), names.end());
    return names;
}

void remove_recursively(const std::string& path)
{
    struct stat status {
    };
    if (::lstat(path.c_str(), &status) != 0) {
        return;
    }
    if (S_ISDIR(status.st_mode)) {
        for (const std::string& name : list(path)) {
            remove_recursively(std::string(path).append("/").append(name));
        }
    }
    if ((S_ISDIR(status.st_mode) ? ::rmdir(path.c_str()) : ::unlink(path.c_str())) != 0) {
        fail("removing " + path);
    }
}

std::optional<int> run(const std::vector<std::string>& argv, const std::string& instance_id, int seconds)
{
    std::vector<char*> arguments;
    arguments.reserve(argv.size() + 1);
    for (const std::string& argument : argv) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    if (child < 0) {
        fail("starting " + argv.at(0));
    }
    if (child == 0) {
        const int null = ::open("/dev/null", O_RDWR);
        const int console = ::open("/dev/kmsg", O_WRONLY); // what it says is in the kernel's log, and on the console
        ::dup2(null, STDIN_FILENO);
        ::dup2(console >= 0 ? console : null, STDOUT_FILENO);
        ::dup2(console >= 0 ? console : null, STDERR_FILENO);
        ::setsid();
        static_cast<void>(::signal(SIGHUP, SIG_DFL));
        static_cast<void>(::signal(SIGPIPE, SIG_DFL));
        ::setenv("KILN_INSTANCE_ID", instance_id.c_str(), 1);
        ::setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
        ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    int status = 0;
    for (int i = 0; i < seconds * polls_per_second; ++i) {
        if (::waitpid(child, &status, WNOHANG) == child) {
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        (void)::nanosleep(&poll_interval, nullptr);
    }
    ::kill(-child, SIGKILL);
    ::waitpid(child, &status, 0);
    return std::nullopt;
}

} // namespace kiln::guest
