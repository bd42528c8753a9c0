// SPDX-License-Identifier: Apache-2.0
// Internal: HTTP/1.1 on a UNIX socket for the metadata service. The owner of libmicrohttpd (0.9.75). What comes in is
// the guest's: requests with a body are refused, headers have 16 KiB in all, an idle connection ends after 10 s, and
// past 32 connections the next ones are closed.
#pragma once

#include "core/file_descriptor.h"
#include "launcher/metadata/metadata_service.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

namespace kiln::launcher
{

class MetadataServer
{
public:
    // `answer` is called in a thread of the server's. The socket gets mode 0600. Throws Error{io, launch}.
    using Answer = std::function<MetadataAnswer(const MetadataRequest& request)>;
    MetadataServer(const std::filesystem::path& socket, Answer answer);
    ~MetadataServer();
    MetadataServer(const MetadataServer&) = delete;
    MetadataServer& operator=(const MetadataServer&) = delete;

private:
    struct State;
    void accept_all(const std::stop_token& stop);

    FileDescriptor listener_;
    std::unique_ptr<State> state_;
    std::jthread accepting_;
};

} // namespace kiln::launcher
