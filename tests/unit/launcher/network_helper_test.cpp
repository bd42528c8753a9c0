// SPDX-License-Identifier: Apache-2.0
// The network helper with a socket in QEMU's place, over which a guest made of frames uses the network.
#include "core/error.h"
#include "core/files.h"
#include "launcher/network/network_helper.h"
#include "launcher/network/network_process.h"
#include "tests/support/frame_guest.h"
#include "tests/support/tcp_server.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <sys/stat.h>
#include <sys/un.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::Bytes;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* id = "i-0123456789abcdef0";
constexpr std::uint32_t gateway = 0x0a000202U; // where the host's own loopback is

sockaddr_un unix_address(const fs::path& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    return address;
}

class Network : public testing::Test
{
protected:
    Network()
    {
        fs::create_directories(files_.folder);
        fs::create_directories(files_.frames);
        fs::create_directories(files_.ssh);
        write_file_durably(files_.ssh / "id_ed25519.pub", "ssh-ed25519 AAAA kiln-launch-key\n");
        save_record(files_, small_instance(files_));
        const sockaddr_un address = unix_address(files_.qemu_network_socket);
        EXPECT_EQ(0, ::bind(qemu_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
        start();
    }
    ~Network() override { stop(); }

    void start()
    {
        helper_ = std::make_unique<NetworkHelper>(files_, load_record(files_));
        running_ = std::jthread([this](const std::stop_token& stop) { helper_->run(stop, 120s); });
    }
    void stop()
    {
        running_ = std::jthread();
        helper_.reset();
    }
    void send(const Bytes& frame)
    {
        const sockaddr_un address = unix_address(files_.network_socket);
        ::sendto(qemu_.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                 sizeof address);
    }
    std::optional<Bytes> receive(int limit_ms = 500)
    {
        pollfd polled{qemu_.get(), POLLIN, 0};
        Bytes frame(65536);
        if (::poll(&polled, 1, limit_ms) <= 0) {
            return std::nullopt;
        }
        frame.resize(static_cast<std::size_t>(::recv(qemu_.get(), frame.data(), frame.size(), 0)));
        return frame;
    }
    test::GuestConnection connection(std::uint32_t target, std::uint16_t port)
    {
        return {[this](const Bytes& frame) { send(frame); }, [this] { return receive(); }, target, port, ++own_port_};
    }
    // The NAT learns the guest's Ethernet address, as it does from DHCP.
    void greet()
    {
        send(test::arp_request(gateway));
        EXPECT_TRUE(receive());
    }
    // One request in a connection of its own, as curl does.
    std::string ask(const std::string& head, std::uint32_t target = metadata_address)
    {
        auto guest = connection(target, 80);
        return guest.connect() ? guest.ask(head + "\r\nHost: imds\r\nConnection: close\r\n\r\n") : "no connection";
    }
    std::string token()
    {
        const std::string answer = ask("PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60");
        return answer.substr(answer.find("\r\n\r\n") + 4);
    }

    test::TemporaryFolder home_;
    Paths paths_ = paths_in(home_.path());
    InstancePaths files_{paths_, id};
    FileDescriptor qemu_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    std::unique_ptr<NetworkHelper> helper_;
    std::jthread running_;
    std::uint16_t own_port_ = 40000;
};

TEST_F(Network, AGuestReadsItsMetadataAsCurlDoes)
{
    EXPECT_THAT(ask("GET /latest/meta-data/instance-id HTTP/1.1\r\nX-aws-ec2-metadata-token: " + token()),
                testing::AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), testing::EndsWith("\r\n\r\ni-0123456789abcdef0")));
    EXPECT_THAT(ask("GET /latest/meta-data/instance-id HTTP/1.1"), StartsWith("HTTP/1.1 401 "));
}

TEST_F(Network, TheMetadataServiceHasAnEthernetAddress)
{
    send(test::arp_request(metadata_address));
    const auto answer = receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(test::get16(*answer, 12), 0x0806); // ARP
    EXPECT_EQ(test::get16(*answer, 20), 2);      // a reply
    EXPECT_EQ(test::get32(*answer, 28), metadata_address);
    send(test::arp_request(metadata_address - 1));
    EXPECT_FALSE(receive(200));
}

TEST_F(Network, Attack41_MetadataTravelOneHop)
{
    auto guest = connection(metadata_address, 80);
    ASSERT_TRUE(guest.connect());
    EXPECT_EQ(guest.hops, 1U); // a router or a container's host would drop it
    stop();
    Instance instance = load_record(files_);
    instance.metadata.hop_limit = 2;
    save_record(files_, instance);
    start();
    auto farther = connection(metadata_address, 80);
    ASSERT_TRUE(farther.connect());
    EXPECT_EQ(farther.hops, 2U);
}

TEST_F(Network, Attack41_NothingButThePortOfTheService)
{
    EXPECT_FALSE(connection(metadata_address, 22).connect());
    EXPECT_FALSE(connection(metadata_address - 1, 80).connect()); // 169.254.169.253
    EXPECT_FALSE(connection(0xa9fea901U, 80).connect());          // 169.254.169.1, the stack's own gateway
    EXPECT_FALSE(connection(0xa9feaa02U, 80).connect());          // 169.254.170.2, where ECS has credentials
}

TEST_F(Network, TheHostAndItsForwards)
{
    const test::TcpServer server([](int connection, const std::stop_token&) {
        test::TcpServer::receive_request(connection);
        test::TcpServer::send(connection, "HTTP/1.0 200 OK\r\n\r\nthe host");
    });
    greet();
    auto guest = connection(gateway, server.port());
    ASSERT_TRUE(guest.connect());
    EXPECT_THAT(guest.ask("GET / HTTP/1.0\r\n\r\n"), testing::EndsWith("the host"));

    const NetworkProcess network(load_record(files_), files_);
    const std::uint16_t port = network.add_forward(22);
    EXPECT_GT(port, 0);
    EXPECT_THAT(network.connection_states(port, 22), testing::ElementsAre("HOST_FORWARD"));
    try {
        static_cast<void>(network.add_forward(80, port));
        FAIL() << "forwarded twice";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::launch);
        EXPECT_EQ(error.message(),
                  "port 80 of the guest can't be reached: port " + std::to_string(port) + " of this host is taken");
    }
    network.remove_forward(port);
    EXPECT_THAT(network.connection_states(port, 22), testing::IsEmpty());
    EXPECT_THROW(network.remove_forward(port), Error);
    EXPECT_EQ(network.add_forward(22, port), port);
}

TEST_F(Network, AForwardReachesTheGuest)
{
    const NetworkProcess network(load_record(files_), files_);
    const std::uint16_t port = network.add_forward(22);
    greet();
    const FileDescriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(0, ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
    std::optional<Bytes> syn;
    while ((syn = receive()) && !(syn->size() >= 54 && (*syn)[23] == 6)) {
    }
    ASSERT_TRUE(syn);
    EXPECT_EQ(test::get16(*syn, 36), 22);
    EXPECT_EQ((*syn)[47] & 0x3fU, 2U); // SYN
    EXPECT_THAT(network.connection_states(port, 22), testing::Contains("SYN_SENT"));
}

TEST_F(Network, Attack38_ItsSocketsArePrivate)
{
    for (const fs::path& socket : {files_.network_socket, files_.network_control_socket, files_.metadata_socket}) {
        struct stat status {
        };
        ASSERT_EQ(0, ::stat(socket.c_str(), &status)) << socket;
        EXPECT_EQ(status.st_mode & 0777U, 0600U) << socket;
    }
}

// As where Kiln runs as root and QEMU does not: the folder lets in whom it is for.
TEST_F(Network, Attack38_InAnotherUsersFolderItsSocketIsForBoth)
{
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can make it another's";
    }
    stop();
    ASSERT_EQ(0, ::chown(files_.frames.c_str(), 65534, 0));
    start();
    EXPECT_EQ(static_cast<unsigned>(fs::status(files_.network_socket).permissions()), 0666U);
    EXPECT_EQ(static_cast<unsigned>(fs::status(files_.network_control_socket).permissions()), 0600U);
}

TEST_F(Network, Attack38_ALinkInQemusPlaceLeadsNowhere)
{
    stop();
    const fs::path other = home_.path() / "other";
    const FileDescriptor victim(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = unix_address(other);
    ASSERT_EQ(0, ::bind(victim.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
    fs::rename(files_.qemu_network_socket, home_.path() / "away");
    fs::create_symlink(other, files_.qemu_network_socket);
    start();
    send(test::arp_request(gateway));
    pollfd polled{victim.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&polled, 1, 500), 0);
    fs::rename(home_.path() / "away", files_.qemu_network_socket);
    greet(); // it goes on where QEMU is there again
}

TEST_F(Network, Attack38_MalformedRequestsAreErrors)
{
    const auto answer = [&](const std::string& line) {
        JsonSocket socket = JsonSocket::connect(files_.network_control_socket, "the helper");
        socket.send_bytes(line + "\n", in(2s));
        return socket.receive_line(in(2s));
    };
    for (const char* line : {"{", "[]", "{}", R"({"request":7})", R"({"request":"fly"})", R"({"request":"forward"})",
                             R"({"request":"forward","guest_port":0,"host_port":0})",
                             R"({"request":"forward","guest_port":22,"host_port":-1})",
                             R"({"request":"remove-forward","host_port":65536})"}) {
        EXPECT_THAT(answer(line), StartsWith(R"({"error":{)")) << line;
    }
    EXPECT_EQ(answer(R"({"request":"ping"})"), R"({"result":{"instance_id":"i-0123456789abcdef0"}})");
}

TEST_F(Network, Attack41_HostileFramesDoNotEndIt)
{
    std::uint32_t random = 1; // the same noise each time
    const auto next = [&random] { return random = random * 1664525U + 1013904223U, random >> 16U; };
    const Bytes models[] = {test::ipv4(metadata_address, 6, Bytes(40, 0)),
                            test::ipv4(gateway, 17, Bytes(40, 0)),
                            test::ipv4(0xffffffffU, 17, Bytes(300, 0)),
                            test::ipv4(gateway, 1, Bytes(8, 8)),
                            test::arp_request(gateway),
                            test::ipv6({0xff, 0x02})};
    for (int i = 0; i < 20'000; ++i) {
        Bytes frame = models[next() % std::size(models)];
        for (std::uint32_t flips = next() % 4; flips > 0; --flips) {
            frame[14 + next() % (frame.size() - 14)] = static_cast<std::uint8_t>(next());
        }
        frame.resize(next() % 8 == 0 ? next() % 3000 : frame.size());
        send(frame);
    }
    while (receive(50)) {
    }
    EXPECT_EQ(token().size(), 56U);
}

TEST_F(Network, AnotherHelperGoesOnWhereOneDied)
{
    const std::string before = token();
    stop();
    start();
    EXPECT_THAT(ask("GET / HTTP/1.1\r\nX-aws-ec2-metadata-token: " + before), StartsWith("HTTP/1.1 401 "));
    EXPECT_EQ(token().size(), 56U);
}

TEST(NetworkProcess, AnInstanceOfAnOlderKilnHasNone)
{
    const InstancePaths files(paths_in("/home/kiln"), id);
    Instance instance = small_instance(files);
    instance.network = "qemu";
    NetworkProcess network(instance, files);
    EXPECT_FALSE(network.start());
    EXPECT_EQ(network.descriptor(), -1);
    EXPECT_FALSE(network.next_look());
    try {
        static_cast<void>(network.add_forward(80));
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.message(),
                  "i-0123456789abcdef0 was launched by an older Kiln, whose network takes no requests");
    }
}

} // namespace
} // namespace kiln::launcher
