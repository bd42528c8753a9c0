// SPDX-License-Identifier: Apache-2.0
#include "launcher/qemu_process.h"

#include "core/error.h"
#include "core/process.h"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kiln::launcher
{

WatchedProcess::WatchedProcess(pid_t pid) : pid_(pid), fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)))
{
    if (!fd_) {
        throw Error(ErrorKind::launch, "the process has ended");
    }
}

bool WatchedProcess::ended() const
{
    return wait(std::chrono::milliseconds(0));
}

bool WatchedProcess::wait(std::chrono::milliseconds limit) const
{
    pollfd polled{fd_.get(), POLLIN, 0};
    int ready = 0;
    while ((ready = ::poll(&polled, 1, static_cast<int>(limit.count()))) < 0 && errno == EINTR) {
    }
    if (ready > 0) {
        ::waitpid(pid_, nullptr, WNOHANG); // reaps it where it is our child
    }
    return ready > 0;
}

void WatchedProcess::signal(int number) const noexcept
{
    ::syscall(SYS_pidfd_send_signal, fd_.get(), number, nullptr, 0);
}

namespace
{

// What follows fork(2) here may be called there (signal-safety(7)).

bool write_pid(const char* file) noexcept
{
    std::array<char, 16> text{};
    char* end = std::to_chars(text.data(), text.data() + text.size(), ::getpid()).ptr;
    *end++ = '\n';
    const int fd = ::open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    const bool written = fd >= 0 && ::write(fd, text.data(), static_cast<std::size_t>(end - text.data())) > 0;
    ::close(fd);
    return written;
}

bool apply(const DetachedSettings& settings) noexcept
{
    if (settings.mask) {
        ::umask(*settings.mask);
    }
    for (const int descriptor : settings.inherited) {
        if (::fcntl(descriptor, F_SETFD, 0) != 0) {
            return false;
        }
    }
    return (settings.folder.empty() || ::chdir(settings.folder.c_str()) == 0) &&
           (settings.pid_file.empty() || write_pid(settings.pid_file.c_str())) &&
           (!settings.confinement || confine_this_process(*settings.confinement));
}

} // namespace

pid_t start_detached(const std::vector<std::string>& argv, const std::filesystem::path& log,
                     const DetachedSettings& settings)
{
    const auto program = find_program(argv.at(0));
    if (!program) {
        throw Error(ErrorKind::missing_tool, fmt::format("the program {} is not installed", argv[0]),
                    "run `kiln doctor`, which names the Debian package that has it");
    }
    std::vector<char*> arguments;
    arguments.reserve(argv.size() + 1);
    for (const std::string& argument : argv) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0) {
        throw system_error(errno, "starting a process");
    }
    if (pid > 0) {
        return pid;
    }
    // Only async-signal-safe calls from here on.
    ::setsid();
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = ::open("/dev/null", O_RDONLY);
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(null, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (!apply(settings)) {
        constexpr std::string_view words = "kiln: the process could not be confined\n";
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, words.data(), words.size());
        ::_exit(126);
    }
    ::execv(program->c_str(), arguments.data());
    ::_exit(127);
}

std::uint16_t find_free_port()
{
    const FileDescriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
        throw system_error(errno, "looking for a free port");
    }
    return ntohs(address.sin_port);
}

} // namespace kiln::launcher
