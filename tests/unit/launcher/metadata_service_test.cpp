// SPDX-License-Identifier: Apache-2.0
// Who may read an instance's metadata: by the service itself, and over its socket as bytes of a guest.
#include "core/error.h"
#include "core/json_socket.h"
#include "launcher/metadata/metadata_server.h"
#include "launcher/metadata/metadata_service.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

namespace kiln::launcher
{
namespace
{

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

class Metadata : public testing::Test
{
protected:
    Metadata()
    {
        source_.instance = small_instance(InstancePaths(paths_in("/home/kiln"), "i-0123456789abcdef0"));
        source_.public_keys = "ssh-ed25519 AAAA kiln-launch-key i-0123456789abcdef0\n";
    }
    MetadataAnswer get(const std::string& path, std::optional<std::string> token = {})
    {
        return service_.answer({.method = "GET", .path = path, .token = std::move(token)});
    }
    MetadataAnswer put(std::optional<std::string> ttl, bool forwarded = false)
    {
        return service_.answer(
            {.method = "PUT", .path = "/latest/api/token", .token_ttl = std::move(ttl), .forwarded = forwarded});
    }
    MetadataSource source_;
    MetadataService service_{[this] { return source_; }};
};

TEST_F(Metadata, ATokenReads)
{
    const MetadataAnswer token = put("21600");
    EXPECT_EQ(token.status, 200U);
    EXPECT_EQ(token.body.size(), 56U);
    EXPECT_THAT(token.headers, testing::ElementsAre(std::pair<std::string, std::string>(token_ttl_header, "21600")));
    EXPECT_EQ(get("/latest/meta-data/instance-id", token.body).body, "i-0123456789abcdef0");
    EXPECT_EQ(get("/latest/nothing", token.body).status, 404U);
}

TEST_F(Metadata, Attack41_WithoutATokenNothingIsTold)
{
    for (const char* path : {"/", "/latest/meta-data/instance-id", "/latest/user-data", "/latest/nothing"}) {
        EXPECT_EQ(get(path).status, 401U) << path;
        EXPECT_EQ(get(path, "").status, 401U) << path;
        EXPECT_EQ(get(path, std::string(56, 'a')).status, 401U) << path;
    }
    source_.instance.metadata.v1 = true;
    EXPECT_EQ(get("/latest/meta-data/instance-id").status, 200U);
    EXPECT_EQ(get("/latest/meta-data/instance-id", "wrong").status, 401U); // as EC2 has it
}

TEST_F(Metadata, Attack41_AnotherInstancesTokenIsNone)
{
    MetadataService other([this] { return source_; });
    const std::string token = other.answer({.method = "PUT", .path = "/latest/api/token", .token_ttl = "60"}).body;
    EXPECT_EQ(get("/latest/meta-data/", token).status, 401U);
}

TEST_F(Metadata, Attack41_AHopTooManyIsRefused)
{
    EXPECT_EQ(put("60", true).status, 403U);
    const std::string token = put("60").body;
    EXPECT_EQ(
        service_.answer({.method = "GET", .path = "/latest/meta-data/", .token = token, .forwarded = true}).status,
        403U);
}

TEST_F(Metadata, OtherLifetimesAndMethodsAreRefused)
{
    for (const char* ttl : {"0", "21601", "-1", "", " 60", "60s", "1e3", "0x10", "99999999999999999999"}) {
        EXPECT_EQ(put(ttl).status, 400U) << ttl;
    }
    EXPECT_EQ(put({}).status, 400U);
    EXPECT_EQ(put({}).body, "400 - the header X-aws-ec2-metadata-token-ttl-seconds must be 1 to 21600\n");
    for (const char* method : {"POST", "DELETE", "OPTIONS", "CONNECT", "put", ""}) {
        EXPECT_EQ(service_.answer({.method = method, .path = "/latest/meta-data/"}).status, 405U) << method;
    }
    EXPECT_EQ(get("/latest/api/token").status, 405U);
    EXPECT_EQ(service_.answer({.method = "PUT", .path = "/latest/meta-data/", .token_ttl = "60"}).status, 405U);
}

TEST_F(Metadata, TheHostsTroubleStaysItsOwn)
{
    MetadataService broken(
        []() -> MetadataSource { throw Error(ErrorKind::io, "/home/somebody/instance.json is torn"); });
    const MetadataAnswer answer = broken.answer({.method = "GET", .path = "/"});
    EXPECT_EQ(answer.status, 500U);
    EXPECT_THAT(answer.body, testing::Not(HasSubstr("somebody")));
}

TEST(MetadataTokens, Attack41_EndInTimeAndDoNotPileUp)
{
    MetadataTokens tokens;
    const auto now = std::chrono::steady_clock::now();
    const std::string first = tokens.issue(60s, now);
    EXPECT_TRUE(tokens.valid(first, now + 59s));
    EXPECT_FALSE(tokens.valid(first, now + 60s));
    const std::string second = tokens.issue(60s, now);
    for (int i = 0; i < 255; ++i) {
        static_cast<void>(tokens.issue(60s, now));
    }
    EXPECT_FALSE(tokens.valid(first, now)); // the oldest went
    EXPECT_TRUE(tokens.valid(second, now));
}

// All that came for those bytes, until the server closed or was silent for `limit`.
std::string talk_to(const std::filesystem::path& socket, const std::string& bytes, std::chrono::milliseconds limit = 3s)
{
    JsonSocket connection = JsonSocket::connect(socket, "the service");
    std::string all;
    try {
        connection.send_bytes(bytes, in(limit));
        for (;;) {
            all += connection.receive_line(in(limit)) + "\n";
        }
    } catch (const Error&) { // the end
    }
    return all;
}

class MetadataHttp : public Metadata
{
protected:
    std::string ask(const std::string& head)
    {
        return talk_to(socket_, head + "\r\nHost: 169.254.169.254\r\nConnection: close\r\n\r\n");
    }
    test::TemporaryFolder folder_;
    std::filesystem::path socket_ = folder_.path() / "imds.sock";
    MetadataServer server_{socket_, [this](const MetadataRequest& request) { return service_.answer(request); }};
};

TEST_F(MetadataHttp, SpeaksIt)
{
    const std::string answer = ask("PUT /latest/api/token HTTP/1.1\r\nx-AWS-ec2-metadata-token-ttl-seconds: 60");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("X-aws-ec2-metadata-token-ttl-seconds: 60\r\n"));
    const std::string token = put("60").body;
    const std::string with_token = "\r\nX-aws-ec2-metadata-token: " + token;
    EXPECT_THAT(ask("GET /latest/meta-data/public-keys/?x=1 HTTP/1.1" + with_token),
                testing::AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Type: text/plain\r\n"),
                               HasSubstr("Content-Length: 17\r\n")));
    EXPECT_THAT(ask("GET /%6catest/meta-data/ HTTP/1.1" + with_token), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("HEAD /latest/meta-data/ HTTP/1.1" + with_token), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(MetadataHttp, Attack38_ItsSocketIsPrivate)
{
    struct stat status {
    };
    ASSERT_EQ(0, ::stat(socket_.c_str(), &status));
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(MetadataHttp, Attack41_ForwardedOrWithoutTokenIsRefused)
{
    EXPECT_THAT(ask("GET /latest/user-data HTTP/1.1"), StartsWith("HTTP/1.1 401 "));
    EXPECT_THAT(ask("PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
                    "X-Forwarded-For: 10.1.2.3"),
                StartsWith("HTTP/1.1 403 "));
    EXPECT_THAT(ask("PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n"
                    "x-forwarded-for:"),
                StartsWith("HTTP/1.1 403 "));
}

TEST_F(MetadataHttp, Attack41_HostileRequestsEndInAnAnswerOrTheEnd)
{
    EXPECT_THAT(ask("PUT /latest/api/token HTTP/1.1\r\nContent-Length: 99999999"), StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(ask("PUT /latest/api/token HTTP/1.1\r\nTransfer-Encoding: chunked"), StartsWith("HTTP/1.1 413 "));
    EXPECT_THAT(ask("GET /" + std::string(100'000, 'a') + " HTTP/1.1"),
                testing::AnyOf("", StartsWith("HTTP/1.1 414 "), StartsWith("HTTP/1.1 431 ")));
    std::string many = "GET / HTTP/1.1";
    for (int i = 0; i < 5000; ++i) {
        many += "\r\nX-Header: 1";
    }
    EXPECT_THAT(ask(many), testing::AnyOf("", StartsWith("HTTP/1.1 431 "), StartsWith("HTTP/1.1 413 ")));
    static_cast<void>(talk_to(socket_, std::string(5000, '\0'), 200ms));
    static_cast<void>(talk_to(socket_, "GET", 50ms));
    EXPECT_THAT(ask("GET / HTTP/1.1"), StartsWith("HTTP/1.1 401 ")); // it still serves
}

TEST_F(MetadataHttp, Attack41_AFloodOfConnectionsDelaysNoAccept)
{
    std::vector<JsonSocket> idle;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 300; ++i) { // far more than the limit and the backlog
        idle.push_back(JsonSocket::connect(socket_, "the service"));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
    idle.clear();
    std::string answer;
    for (int i = 0; i < 50 && answer.empty(); ++i) { // until it has noticed that they are gone
        try {
            answer = ask("GET / HTTP/1.1");
        } catch (const Error&) {
        }
        std::this_thread::sleep_for(50ms);
    }
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 401 "));
}

} // namespace
} // namespace kiln::launcher
