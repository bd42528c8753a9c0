// SPDX-License-Identifier: Apache-2.0
#include "launcher/vpc/vpc_link.h"

#include "core/descriptor_message.h"
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "core/text.h"
#include "launcher/control.h"
#include "launcher/network/ethernet_frame.h"
#include "launcher/program.h"
#include "launcher/qemu_process.h"
#include "launcher/vpc/vpc.h"

#include <fmt/format.h>

#include <array>
#include <fcntl.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds attach_limit{15};
constexpr seconds answer_limit{10};
constexpr std::string_view peer = "the network's holder";

} // namespace

VpcLink::VpcLink(Paths paths, std::string vpc_id, std::string instance_id)
    : paths_(std::move(paths)), vpc_id_(std::move(vpc_id)), instance_id_(std::move(instance_id))
{
}

void VpcLink::attach()
{
    const VpcPaths files(paths_, vpc_id_);
    static_cast<void>(load_vpc(paths_, vpc_id_)); // not_found says more than a holder's log
    const auto deadline = steady_clock::now() + attach_limit;
    std::optional<WatchedProcess> holder;
    for (;;) {
        if (try_attach()) {
            return;
        }
        // One that ends at once has lost against another's, or can't work here.
        if (!holder || holder->ended()) {
            if (holder && steady_clock::now() > deadline) {
                const std::string words = tail_in_one_line(read_file(files.log), 2);
                throw Error(ErrorKind::launch, fmt::format("the network {} does not come up: {}", vpc_id_, words),
                            "`kiln doctor` tells what this host lacks; --network user needs none of it");
            }
            if (holder) {
                std::this_thread::sleep_for(milliseconds(200));
            }
            std::error_code ignored;
            std::filesystem::remove(files.log, ignored); // its last words are to be about this start
            holder.emplace(start_detached(in_user_namespace({supervisor_program(), "serve-vpc", vpc_id_}), files.log));
        }
        if (steady_clock::now() > deadline + seconds(5)) {
            throw Error(ErrorKind::launch, fmt::format("the network {} does not answer", vpc_id_));
        }
        std::this_thread::sleep_for(milliseconds(5));
    }
}

bool VpcLink::try_attach()
{
    std::optional<JsonSocket> socket;
    try {
        socket.emplace(JsonSocket::connect(VpcPaths(paths_, vpc_id_).control_socket, std::string(peer)));
        socket->send({{"request", "attach"}, {"instance_id", instance_id_}}, in(answer_limit));
    } catch (const Error&) { // there is none, or it is just ending
        return false;
    }
    std::optional<DescriptorMessage> answer;
    try {
        answer = receive_with_descriptor(socket->descriptor(), in(answer_limit), peer);
    } catch (const Error&) { // it has just ended
        return false;
    }
    static_cast<void>(result_of(answer->line, "the network's answer"));
    if (!answer->descriptor) {
        throw Error(ErrorKind::launch, "the network gave no device");
    }
    tap_ = std::move(answer->descriptor);
    ::fcntl(tap_.get(), F_SETFL, O_NONBLOCK);
    control_ = FileDescriptor(::fcntl(socket->descriptor(), F_DUPFD_CLOEXEC, 3));
    return true;
}

void VpcLink::detach() noexcept
{
    tap_ = FileDescriptor();
    control_ = FileDescriptor();
}

void VpcLink::send(std::span<const std::uint8_t> frame) const noexcept
{
    [[maybe_unused]] const ssize_t written = ::write(tap_.get(), frame.data(), frame.size());
}

void VpcLink::receive(int most, const std::function<void(std::span<std::uint8_t>)>& take) const
{
    std::array<std::uint8_t, 2 * longest_frame> buffer{};
    for (int i = 0; i < most; ++i) {
        const ssize_t size = ::read(tap_.get(), buffer.data(), buffer.size());
        if (size <= 0) {
            return;
        }
        if (static_cast<std::size_t>(size) <= longest_frame) {
            take({buffer.data(), static_cast<std::size_t>(size)});
        }
    }
}

std::vector<std::string> in_user_namespace(std::vector<std::string> argv)
{
    // The user stays the user: files, sockets and folders are found and checked as outside.
    argv.insert(argv.begin(), {"unshare", "--user", "--map-current-user", "--keep-caps", "--"});
    return argv;
}

void reload_vpcs(const Paths& paths)
{
    for (const Vpc& vpc : list_vpcs(paths)) {
        const VpcPaths files(paths, vpc.id);
        std::optional<JsonSocket> holder;
        try {
            holder.emplace(JsonSocket::connect(files.control_socket, std::string(peer)));
        } catch (const Error&) { // it does not run: it reads them when it comes
            continue;
        }
        holder->send({{"request", "reload"}}, in(answer_limit));
        static_cast<void>(result_of(holder->receive(in(answer_limit)), "the network's answer"));
    }
}

std::optional<std::string> why_no_vpc()
{
    for (const auto& [program, package] :
         {std::pair{"ip", "iproute2"}, {"nft", "nftables"}, {"dnsmasq", "dnsmasq-base"}, {"unshare", "util-linux"}}) {
        if (!find_program(program)) {
            return fmt::format("the program {} is not installed: apt-get install {}", program, package);
        }
    }
    const ProcessResult result =
        run({.argv = in_user_namespace({supervisor_program(), "serve-vpc", "--try"}), .timeout = seconds(30)});
    if (result.succeeded()) {
        return std::nullopt;
    }
    const std::string words = tail_in_one_line(result.errors, 3);
    return words.empty() ? result.describe() : words;
}

} // namespace kiln::launcher
