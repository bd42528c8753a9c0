// SPDX-License-Identifier: Apache-2.0
// A UNIX socket server for tests: answers each line by a function; an empty answer is silence,
// "close" closes the connection.
#pragma once

#include "core/json_socket.h"
#include "tests/support/temporary_folder.h"

#include <atomic>
#include <functional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace kiln
{

class FakeServer
{
public:
    using Answer = std::function<std::string(const std::string& line)>;

    FakeServer(std::string greeting, Answer answer)
        : listener_(listen_on(path())), greeting_(std::move(greeting)), answer_(std::move(answer)),
          thread_([this](const std::stop_token& stop) { serve(stop); })
    {
    }
    [[nodiscard]] std::filesystem::path path() const { return folder_.path() / "s"; }

private:
    void serve(const std::stop_token& stop)
    {
        while (!stop.stop_requested()) {
            pollfd polled{listener_.get(), POLLIN, 0};
            if (::poll(&polled, 1, 20) > 0) {
                const FileDescriptor connection(::accept(listener_.get(), nullptr, nullptr));
                talk(connection.get(), stop);
            }
        }
    }
    static void send(int fd, const std::string& bytes)
    {
        [[maybe_unused]] const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    void talk(int fd, const std::stop_token& stop)
    {
        send(fd, greeting_);
        std::string line;
        while (!stop.stop_requested()) {
            pollfd polled{fd, POLLIN, 0};
            if (::poll(&polled, 1, 20) <= 0) {
                continue;
            }
            char c = 0;
            if (::recv(fd, &c, 1, 0) <= 0) {
                return;
            }
            if (c != '\n') {
                line += c;
                continue;
            }
            const std::string answer = answer_(line);
            line.clear();
            if (answer == "close") {
                return;
            }
            send(fd, answer);
        }
    }

    test::TemporaryFolder folder_;
    FileDescriptor listener_;
    std::string greeting_;
    Answer answer_;
    std::jthread thread_;
};

} // namespace kiln
