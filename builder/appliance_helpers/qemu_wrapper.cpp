// SPDX-License-Identifier: Apache-2.0
// What libguestfs runs in QEMU's place (guestfs_set_hv). Beside it, in the folder of argv[0], lies `plan`.
// When libguestfs only asks what QEMU can do, this becomes QEMU with the same arguments. For the launch
// it becomes QEMU with the plan's arguments, and with two descriptors that the plan refers to:
//   11  a connection to libguestfs, which listens on guestfsd.sock
//   12  a socket that listens on `qmp`
// The plan is NUL-terminated strings: "save" or "restore", then QEMU's argv; "@append@" stands for libguestfs's
// kernel command line. A restored guest said long ago that it is up, so this says it for it.
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <libgen.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace
{

constexpr int channel_fd = 11;
constexpr int monitor_fd = 12;
constexpr unsigned char launch_flag[] = {0xf5, 0xf5, 0x5f, 0xf5}; // GUESTFS_LAUNCH_FLAG of guestfs_protocol.x
constexpr std::size_t largest_plan = 65536;
constexpr std::size_t most_arguments = 512;

[[noreturn]] void die(const char* doing)
{
    (void)std::fprintf(stderr, "kiln's QEMU wrapper: %s: %s\n", doing, std::strerror(errno));
    std::exit(1);
}

void place(int fd, int number, const char* doing)
{
    if (fd < 0 || ::dup2(fd, number) < 0) {
        die(doing);
    }
    ::close(fd);
}

sockaddr_un address_of(const char* path, std::size_t length)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        die("taking a socket's path");
    }
    std::memcpy(address.sun_path, path, length);
    return address;
}

// From "socket,path=/tmp/libguestfsXXXXXX/guestfsd.sock,id=channel0". False for any other argument.
bool find_channel(const char* argument, sockaddr_un& address)
{
    const char* path = std::strstr(argument, "path=");
    const char* name = std::strstr(argument, "/guestfsd.sock");
    if (path == nullptr || name == nullptr || name < path) {
        return false;
    }
    path += std::strlen("path=");
    address = address_of(path, static_cast<std::size_t>(name - path) + std::strlen("/guestfsd.sock"));
    return true;
}

void listen_for_monitor()
{
    const sockaddr_un address = address_of("qmp", 3);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ::umask(0077);
    if (fd < 0 || ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(fd, 1) != 0) {
        die("listening for the monitor");
    }
    place(fd, monitor_fd, "placing the monitor's socket");
}

void connect_to_libguestfs(const sockaddr_un& address, bool say_launched)
{
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        (say_launched && ::write(fd, launch_flag, sizeof launch_flag) != sizeof launch_flag)) {
        die("reaching libguestfs");
    }
    place(fd, channel_fd, "placing libguestfs's socket");
}

} // namespace

int main(int argc, char** argv)
{
    static char folder[4096];
    static char text[largest_plan];
    static char* plan[most_arguments];

    (void)std::snprintf(folder, sizeof folder, "%s", argv[0]);
    if (::chdir(::dirname(folder)) != 0) { // the paths below stay short enough for sockets
        die("entering its folder");
    }
    const int file = ::open("plan", O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? -1 : ::read(file, text, sizeof text - 1);
    if (length <= 0) {
        die("reading the plan");
    }
    std::size_t count = 0;
    for (char* word = text; word < text + length && count + 1 < most_arguments; word += std::strlen(word) + 1) {
        plan[count++] = word;
    }
    if (count < 2) {
        errno = EINVAL;
        die("reading the plan");
    }

    bool launch = false;
    sockaddr_un channel{};
    char* append = nullptr;
    for (int i = 1; i < argc; ++i) {
        launch = find_channel(argv[i], channel) || launch;
        append = std::strcmp(argv[i], "-append") == 0 ? argv[i + 1] : append;
    }
    char* const qemu = plan[1];
    if (!launch) {
        argv[0] = qemu;
        ::execv(qemu, argv);
        die("running QEMU");
    }
    for (std::size_t i = 1; i < count; ++i) {
        plan[i] = append != nullptr && std::strcmp(plan[i], "@append@") == 0 ? append : plan[i];
    }
    listen_for_monitor();
    connect_to_libguestfs(channel, std::strcmp(plan[0], "restore") == 0);
    ::execv(qemu, plan + 1);
    die("running QEMU");
}
