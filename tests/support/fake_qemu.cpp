// SPDX-License-Identifier: Apache-2.0
// A stand-in for qemu-system-x86_64 for tests of an instance's life: it has a QMP monitor, and no guest.
// What it does is in files in the folder $KILN_FAKE_QEMU: `ignore-powerdown`, `ignore-reboot` and `ignore-quit` make it
// deaf, `starts-left` (a number) lets that many more start, `commands` gets what it was told. SIGUSR1 is a guest that
// powers itself off. The build puts it, under QEMU's name, in a folder for the PATH of a test.
#include "core/descriptor_message.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_socket.h"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace
{

namespace fs = std::filesystem;
using namespace kiln;

fs::path behavior(const char* name)
{
    return fs::path(std::getenv("KILN_FAKE_QEMU")) / name;
}

bool may_start()
{
    if (!fs::exists(behavior("starts-left"))) {
        return true;
    }
    const FileLock lock(behavior("lock"), FileLock::Wait::block);
    const int left = std::stoi(read_file(behavior("starts-left")));
    write_file_durably(behavior("starts-left"), std::to_string(left - 1));
    return left > 0;
}

class Monitor
{
public:
    explicit Monitor(int listener) : listener_(listener) {}
    [[nodiscard]] int descriptor() const { return client_ ? client_->descriptor() : listener_.get(); }

    // False when the machine has gone off.
    bool serve()
    {
        if (!client_) {
            client_.emplace(FileDescriptor(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)), "the client");
            send({{"QMP", Json::object()}});
            return true;
        }
        try {
            DescriptorMessage message =
                receive_with_descriptor(client_->descriptor(), in(std::chrono::seconds(5)), "the client");
            const Json& request = message.line;
            if (message.descriptor) {
                passed_ = std::move(message.descriptor);
            }
            return carry_out(request.at("execute").get<std::string>(), request.value("arguments", Json::object()));
        } catch (const Error&) {
            client_.reset();
            return true;
        }
    }
    void event(const char* name, const char* reason)
    {
        if (client_) {
            send({{"event", name}, {"data", {{"guest", true}, {"reason", reason}}}});
        }
    }

private:
    void send(const Json& value) { client_->send(value, in(std::chrono::seconds(5))); }

    bool carry_out(const std::string& command, const Json& arguments)
    {
        std::ofstream(behavior("commands"), std::ios::app) << command << "\n";
        if (command == "screendump" && arguments.at("filename") == "/dev/fdset/7") {
            constexpr std::string_view picture = "\x89PNG\r\n\x1a\n";
            static_cast<void>(::write(passed_.get(), picture.data(), picture.size()) > 0);
        }
        send({{"return", command == "add-fd" ? Json{{"fdset-id", 7}, {"fd", 7}} : Json::object()}});
        if (command == "system_powerdown" && !fs::exists(behavior("ignore-powerdown"))) {
            event("SHUTDOWN", "guest-shutdown");
            return false;
        }
        if (command == "quit" && !fs::exists(behavior("ignore-quit"))) {
            event("SHUTDOWN", "host-qmp-quit");
            return false;
        }
        if (command == "system_reset" || (command == "send-key" && !fs::exists(behavior("ignore-reboot")))) {
            event("RESET", "guest-reset");
        }
        return true;
    }

    FileDescriptor listener_;
    std::optional<JsonSocket> client_;
    FileDescriptor passed_; // with add-fd, the last one
};

} // namespace

int main(int argc, char** argv)
{
    int socket = -1;
    for (int i = 1; i + 1 < argc; ++i) {
        const std::string option = argv[i];
        const std::string value = argv[i + 1];
        if (option == "-chardev" && value.starts_with("socket,id=qmp,fd=")) {
            socket = std::stoi(value.substr(17));
        }
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    try {
        if (!may_start()) {
            std::cerr << "the fake QEMU was told not to start\n";
            return 1;
        }
        Monitor monitor(socket);
        const FileDescriptor signalled(::signalfd(-1, &signals, SFD_CLOEXEC));
        for (bool on = true; on;) {
            pollfd polled[] = {{monitor.descriptor(), POLLIN, 0}, {signalled.get(), POLLIN, 0}};
            ::poll(polled, 2, -1);
            if (polled[1].revents != 0) {
                signalfd_siginfo info{};
                static_cast<void>(::read(signalled.get(), &info, sizeof info) > 0);
                monitor.event("SHUTDOWN", info.ssi_signo == SIGUSR1 ? "guest-shutdown" : "host-signal");
                on = false;
            } else if (polled[0].revents != 0) {
                on = monitor.serve();
            }
        }
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
