// SPDX-License-Identifier: Apache-2.0
#include "launcher/network/slirp_stack.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <slirp/libslirp.h>
#include <sstream>
#include <utility>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

struct Timer {
    SlirpTimerCb callback = nullptr;
    void* opaque = nullptr;
    std::int64_t expires_ms = -1; // by Clock; -1: not set
};

std::int64_t now_ms()
{
    return std::chrono::duration_cast<milliseconds>(Clock::now().time_since_epoch()).count();
}

in_addr address_of(std::uint32_t address)
{
    in_addr result{};
    result.s_addr = htonl(address);
    return result;
}

in6_addr address6_of(const char* text)
{
    in6_addr result{};
    ::inet_pton(AF_INET6, text, &result);
    return result;
}

struct Deleter {
    void operator()(Slirp* slirp) const { slirp_cleanup(slirp); }
};

constexpr std::pair<int, short> event_names[] = {{SLIRP_POLL_IN, POLLIN},
                                                 {SLIRP_POLL_OUT, POLLOUT},
                                                 {SLIRP_POLL_PRI, POLLPRI},
                                                 {SLIRP_POLL_ERR, POLLERR},
                                                 {SLIRP_POLL_HUP, POLLHUP}};

} // namespace

struct SlirpStack::State {
    explicit State(Send sender) : send(std::move(sender)) {}

    Send send;
    std::vector<std::unique_ptr<Timer>> timers;
    std::vector<pollfd>* adding = nullptr;            // within add_polls
    const std::vector<pollfd>* dispatching = nullptr; // within dispatch
    bool filled = false;                              // add_polls was called since the last dispatch
    std::unique_ptr<Slirp, Deleter> slirp;            // goes first: it frees its timers

    static State& of(void* opaque) { return *static_cast<State*>(opaque); }

    static ssize_t send_packet(const void* bytes, std::size_t size, void* opaque)
    {
        // libslirp's frame is its own scratch memory; const in the signature only.
        auto* frame = static_cast<std::uint8_t*>(const_cast<void*>(bytes));
        of(opaque).send({frame, size});
        return static_cast<ssize_t>(size);
    }
    // A guest makes as many errors as it likes; none is worth a line of a log.
    static void guest_error(const char* /*message*/, void* /*opaque*/) {}
    static std::int64_t clock_get_ns(void* /*opaque*/)
    {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
    }
    static void* timer_new(SlirpTimerCb callback, void* callback_opaque, void* opaque)
    {
        auto timer = std::make_unique<Timer>();
        timer->callback = callback;
        timer->opaque = callback_opaque;
        return of(opaque).timers.emplace_back(std::move(timer)).get();
    }
    static void timer_free(void* timer, void* opaque)
    {
        std::erase_if(of(opaque).timers, [&](const auto& one) { return one.get() == timer; });
    }
    static void timer_mod(void* timer, std::int64_t expires_ms, void* /*opaque*/)
    {
        static_cast<Timer*>(timer)->expires_ms = expires_ms;
    }
    static void ignore_descriptor(int /*fd*/, void* /*opaque*/) {}
    static void notify(void* /*opaque*/) {}

    static int add_poll(int fd, int events, void* opaque)
    {
        short wanted = 0;
        for (const auto& [slirp_event, poll_event] : event_names) {
            wanted = static_cast<short>(wanted | ((events & slirp_event) != 0 ? poll_event : 0));
        }
        std::vector<pollfd>& polled = *of(opaque).adding;
        polled.push_back({fd, wanted, 0});
        return static_cast<int>(polled.size()) - 1;
    }
    static int get_revents(int index, void* opaque)
    {
        const std::vector<pollfd>& polled = *of(opaque).dispatching;
        int events = 0;
        for (const auto& [slirp_event, poll_event] : event_names) {
            events |= (polled.at(static_cast<std::size_t>(index)).revents & poll_event) != 0 ? slirp_event : 0;
        }
        return events;
    }
    static constexpr SlirpCb callbacks()
    {
        SlirpCb calls{};
        calls.send_packet = send_packet;
        calls.guest_error = guest_error;
        calls.clock_get_ns = clock_get_ns;
        calls.timer_new = timer_new;
        calls.timer_free = timer_free;
        calls.timer_mod = timer_mod;
        calls.register_poll_fd = ignore_descriptor;
        calls.unregister_poll_fd = ignore_descriptor;
        calls.notify = notify;
        return calls;
    }
};

SlirpStack::SlirpStack(const SlirpSettings& settings, Send send) : state_(std::make_unique<State>(std::move(send)))
{
    static const SlirpCb callbacks = State::callbacks();
    SlirpConfig config{};
    config.version = 4;
    config.restricted = settings.restricted ? 1 : 0;
    config.in_enabled = true;
    config.vnetwork = address_of(settings.network);
    config.vnetmask = address_of(settings.netmask);
    config.vhost = address_of(settings.gateway);
    config.vdhcp_start = address_of(settings.guest);
    config.vnameserver = address_of(settings.name_server);
    config.vhostname = settings.host_name.empty() ? nullptr : settings.host_name.c_str();
    config.in6_enabled = settings.ipv6 && !settings.restricted;
    // As QEMU's own user network has them.
    config.vprefix_addr6 = address6_of("fec0::");
    config.vprefix_len = 64;
    config.vhost6 = address6_of("fec0::2");
    config.vnameserver6 = address6_of("fec0::3");
    config.disable_dns = settings.restricted;
    config.disable_dhcp = settings.restricted;
    state_->slirp.reset(slirp_new(&config, &callbacks, state_.get()));
    if (!state_->slirp) {
        throw Error(ErrorKind::internal, "libslirp refused the network's settings");
    }
}

SlirpStack::~SlirpStack() = default;

void SlirpStack::input(Frame frame)
{
    slirp_input(state_->slirp.get(), frame.data(), static_cast<int>(frame.size()));
}

void SlirpStack::add_polls(std::vector<pollfd>& polled, milliseconds& timeout)
{
    auto wait = static_cast<std::uint32_t>(timeout.count());
    state_->adding = &polled;
    slirp_pollfds_fill(state_->slirp.get(), &wait, State::add_poll, state_.get());
    state_->adding = nullptr;
    state_->filled = true;
    timeout = std::min(timeout, milliseconds(wait));
    for (const auto& timer : state_->timers) {
        if (timer->expires_ms >= 0) {
            timeout = std::clamp(milliseconds(timer->expires_ms - now_ms()), milliseconds(0), timeout);
        }
    }
}

void SlirpStack::dispatch(const std::vector<pollfd>& polled)
{
    if (std::exchange(state_->filled, false)) {
        state_->dispatching = &polled;
        slirp_pollfds_poll(state_->slirp.get(), 0, State::get_revents, state_.get());
        state_->dispatching = nullptr;
    }
    for (const auto& timer : state_->timers) { // a callback sets its timer again; it makes and frees none
        if (timer->expires_ms >= 0 && timer->expires_ms <= now_ms()) {
            timer->expires_ms = -1;
            timer->callback(timer->opaque);
        }
    }
}

bool SlirpStack::add_forward(std::uint16_t host_port, std::uint16_t guest_port)
{
    return slirp_add_hostfwd(state_->slirp.get(), 0, address_of(INADDR_LOOPBACK), host_port, address_of(0),
                             guest_port) == 0;
}

bool SlirpStack::remove_forward(std::uint16_t host_port)
{
    return slirp_remove_hostfwd(state_->slirp.get(), 0, address_of(INADDR_LOOPBACK), host_port) == 0;
}

void SlirpStack::serve_socket(const std::filesystem::path& socket, std::uint32_t address, std::uint16_t port)
{
    in_addr guest_side = address_of(address);
    if (slirp_add_unix(state_->slirp.get(), socket.c_str(), &guest_side, port) != 0) {
        throw Error(ErrorKind::internal, fmt::format("libslirp does not serve {}", socket.native()));
    }
}

std::vector<SlirpConnection> SlirpStack::connections() const
{
    const std::unique_ptr<char, decltype(&std::free)> table(slirp_connection_info(state_->slirp.get()), &std::free);
    return parse_connections(table ? std::string_view(table.get()) : std::string_view());
}

std::vector<SlirpConnection> parse_connections(std::string_view table)
{
    // "  TCP[ESTABLISHED]  17  127.0.0.1 40123  10.0.2.15  22  0  0": protocol and state, descriptor, source address
    // and port, destination address and port, queues.
    const auto port_of = [](const std::string& text) {
        std::uint16_t port = 0;
        std::from_chars(text.data(), text.data() + text.size(), port);
        return port;
    };
    std::istringstream text{std::string(table)};
    std::vector<SlirpConnection> connections;
    for (std::string line; std::getline(text, line);) {
        std::istringstream words(line);
        const std::vector<std::string> row{std::istream_iterator<std::string>(words), {}};
        if (row.size() == 8 && row[0].starts_with("TCP[") && row[0].ends_with("]")) {
            connections.push_back({row[0].substr(4, row[0].size() - 5), port_of(row[3]), port_of(row[5])});
        }
    }
    return connections;
}

} // namespace kiln::launcher
