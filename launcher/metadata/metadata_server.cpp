// SPDX-License-Identifier: Apache-2.0
#include "launcher/metadata/metadata_server.h"

#include "core/error.h"
#include "core/json_socket.h"

#include <array>
#include <atomic>
#include <cstring>
#include <microhttpd.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace kiln::launcher
{
namespace
{

constexpr int connection_limit = 32;
constexpr std::size_t connection_memory = std::size_t{16} << 10U;
constexpr unsigned idle_seconds = 10;

struct DaemonDeleter {
    void operator()(MHD_Daemon* daemon) const { MHD_stop_daemon(daemon); }
};
struct ResponseDeleter {
    void operator()(MHD_Response* response) const { MHD_destroy_response(response); }
};

std::optional<std::string> header(MHD_Connection* connection, const char* name)
{
    const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

bool has_body(MHD_Connection* connection)
{
    const auto length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) || (length && *length != "0");
}

MHD_Result reply(MHD_Connection* connection, const MetadataAnswer& answer)
{
    // libmicrohttpd copies the body; const in all but the signature.
    const std::unique_ptr<MHD_Response, ResponseDeleter> response(MHD_create_response_from_buffer(
        answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY));
    if (!response) {
        return MHD_NO;
    }
    MHD_add_response_header(response.get(), MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type.c_str());
    for (const auto& [name, value] : answer.headers) {
        MHD_add_response_header(response.get(), name.c_str(), value.c_str());
    }
    return MHD_queue_response(connection, answer.status, response.get());
}

// Percent signs mean nothing in the metadata's paths.
std::size_t leave_escaped(void* /*opaque*/, MHD_Connection* /*connection*/, char* text)
{
    return std::strlen(text);
}

} // namespace

struct MetadataServer::State {
    Answer answer;
    std::atomic<int> connections = 0;
    std::unique_ptr<MHD_Daemon, DaemonDeleter> daemon;

    static MHD_Result handle(void* opaque, MHD_Connection* connection, const char* url, const char* method,
                             const char* /*version*/, const char* /*upload*/, std::size_t* upload_size, void** request)
    {
        if (*request == nullptr) { // the headers are there
            *request = opaque;
            if (has_body(connection)) {
                return reply(connection, {.status = 413, .body = "413 - a request must have no body\n"});
            }
            return MHD_YES;
        }
        *upload_size = 0;
        try {
            return reply(connection, static_cast<State*>(opaque)->answer(
                                         {.method = method,
                                          .path = url,
                                          .token = header(connection, token_header),
                                          .token_ttl = header(connection, token_ttl_header),
                                          .forwarded = header(connection, "X-Forwarded-For").has_value()}));
        } catch (const std::exception&) {
            return MHD_NO; // closes the connection
        }
    }
    static void notify(void* opaque, MHD_Connection* /*connection*/, void** /*context*/,
                       MHD_ConnectionNotificationCode code)
    {
        if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
            --static_cast<State*>(opaque)->connections;
        }
    }
};

MetadataServer::MetadataServer(const std::filesystem::path& socket, Answer answer)
    : listener_(listen_on(socket)), state_(std::make_unique<State>())
{
    state_->answer = std::move(answer);
    // Not libmicrohttpd's own listening: at its limit of connections it would leave the next one waiting, and libslirp,
    // which waits for each, with it. Nor its limit: 0.9.75 locks itself up when one is added past it.
    constexpr unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC;
    std::array<MHD_OptionItem, 7> options{{
        {MHD_OPTION_CONNECTION_LIMIT, 8L * connection_limit, nullptr},
        {MHD_OPTION_NOTIFY_CONNECTION, reinterpret_cast<intptr_t>(&State::notify), state_.get()},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory, nullptr},
        {MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds, nullptr},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, nullptr},
        {MHD_OPTION_UNESCAPE_CALLBACK, reinterpret_cast<intptr_t>(&leave_escaped), nullptr},
        {MHD_OPTION_END, 0, nullptr},
    }};
    state_->daemon.reset(MHD_start_daemon(flags, 0, nullptr, nullptr, &State::handle, state_.get(), MHD_OPTION_ARRAY,
                                          options.data(), MHD_OPTION_END));
    if (!state_->daemon) {
        throw Error(ErrorKind::launch, "the metadata service could not be started");
    }
    accepting_ = std::jthread([this](const std::stop_token& stop) { accept_all(stop); });
}

MetadataServer::~MetadataServer() = default;

void MetadataServer::accept_all(const std::stop_token& stop)
{
    const sockaddr_un nobody{.sun_family = AF_UNIX, .sun_path = {}};
    const std::stop_callback wake_up(stop, [this] { ::shutdown(listener_.get(), SHUT_RDWR); });
    while (!stop.stop_requested()) {
        FileDescriptor connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!connection) { // no descriptor is free: the guest has them all
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        } else if (state_->connections < connection_limit) {
            ++state_->connections;
            // Taken or not, the descriptor is libmicrohttpd's from here on.
            if (MHD_add_connection(state_->daemon.get(), connection.release(),
                                   reinterpret_cast<const sockaddr*>(&nobody), sizeof nobody) != MHD_YES) {
                --state_->connections;
            }
        }
    }
}

} // namespace kiln::launcher
