// SPDX-License-Identifier: Apache-2.0
#include "cli/console_attach.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/unix_address.h"
#include "launcher/instance_store.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

constexpr char detach = 0x1d; // Ctrl-], as of telnet and virsh
constexpr int look_again_ms = 200;

// The terminal passes each key on as it is; as before on destruction.
class RawTerminal
{
public:
    RawTerminal()
    {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0) {
            throw Error(ErrorKind::usage, "standard input is no terminal", "--follow needs none");
        }
        termios raw = before_;
        ::cfmakeraw(&raw);
        ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    ~RawTerminal() { ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_); }

private:
    termios before_{};
};

FileDescriptor connect_to_console(const launcher::InstancePaths& files, const std::string& id)
{
    const sockaddr_un address = unix_address(files.console_socket);
    FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const bool runs = launcher::find_qemu(files, id).has_value();
        throw Error(ErrorKind::launch, fmt::format("the console of {} can't be reached", id),
                    runs ? "an older Kiln started the instance; stop it and start it again"
                         : "it is not running: `kiln instance start` starts it");
    }
    return fd;
}

void write_whole(int fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            throw system_error(errno, "passing the console on");
        }
        bytes.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
}

// False at the end of either.
bool pass_on(int from, int to, bool typed)
{
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
        return true;
    }
    std::string_view bytes(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    const std::size_t end = typed ? bytes.find(detach) : std::string_view::npos;
    write_whole(to, bytes.substr(0, end));
    return got > 0 && end == std::string_view::npos;
}

} // namespace

void attach_console(const Context& context, const launcher::Instance& instance)
{
    const launcher::InstancePaths files(context.paths, instance.id);
    if (!std::filesystem::exists(files.run)) {
        throw Error(ErrorKind::launch, fmt::format("{} is not running", instance.id),
                    fmt::format("`kiln instance start {}` starts it", instance.id));
    }
    const FileLock alone(files.console_lock, FileLock::Wait::fail,
                         fmt::format("somebody else is attached to the console of {}", instance.id));
    const FileDescriptor console = connect_to_console(files, instance.id);
    const RawTerminal terminal;
    fmt::print(stderr, "The console of {}; Ctrl-] leaves it.\r\n", instance.id);
    for (bool on = true; on;) {
        std::array<pollfd, 2> polled{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{console.get(), POLLIN, 0}};
        if (::poll(polled.data(), polled.size(), look_again_ms) < 0 && errno != EINTR) {
            throw system_error(errno, "waiting for the console");
        }
        throw_if_interrupted(context.stop);
        if (polled[1].revents != 0) {
            on = pass_on(console.get(), STDOUT_FILENO, false);
        }
        if (on && polled[0].revents != 0) {
            on = pass_on(STDIN_FILENO, console.get(), true);
        }
    }
    fmt::print(stderr, "\r\n");
}

} // namespace kiln::cli
