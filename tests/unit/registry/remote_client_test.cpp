// SPDX-License-Identifier: Apache-2.0
// A remote registry that logs people in, leads them elsewhere, fails, cuts, drips or lies.
#include "registry/remote/remote_client.h"

#include "registry/remote/failure.h"
#include "tests/support/fake_registry.h"
#include "tests/unit/registry/region_fixture.h"

#include <atomic>
#include <thread>

namespace kiln::registry::remote
{
namespace
{
using namespace std::chrono_literals;
using test::error_of;
using test::FakeRegistry;
using test::TcpServer;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using Answer = FakeRegistry::Answer;
using Request = FakeRegistry::Request;

class RemoteClientTest : public ::testing::Test
{
protected:
    test::TemporaryFolder temporary;
    FakeRegistry fake;
    RemoteOptions options{.credential_files = {temporary.path() / "auth.json"},
                          .limits = {.connect = 2s,
                                     .document = 2s,
                                     .slowest = ByteSize(10'000),
                                     .slow_for = 1s,
                                     .silent_for = 2s,
                                     .attempts = 2,
                                     .first_pause = 1ms}};
    const std::string content = "a blob of some length";
    const bundle::Descriptor blob{"x", digest_of(content), ByteSize(content.size())};

    RemoteClientTest() { fake.blobs[blob.digest.to_string()] = content; }

    void with_client(const std::function<void(RemoteClient&)>& action, Access access = Access::pull,
                     const std::stop_token& stop = {})
    {
        Repository repository(parse_remote_reference("oci://" + fake.host() + "/team/web"), access, options);
        RemoteClient client(repository, stop);
        action(client);
    }
    std::string read()
    {
        std::string bytes;
        with_client([&](RemoteClient& client) { bytes = client.read_blob(blob); });
        return bytes;
    }
    Error failure()
    {
        Error error = error_of([&] { static_cast<void>(read()); });
        EXPECT_THAT(error.what(), HasSubstr("the registry " + fake.host() + ", repository team/web: "));
        return error;
    }
    // "me", "hunter2"
    void log_in(const std::string& host, const std::string& more = "") const
    {
        write_file_durably(temporary.path() / "auth.json",
                           R"({"auths": {")" + host + R"(": {"auth": "bWU6aHVudGVyMg==")" + more + "}}}", 0600);
    }
    const std::string basic = "Basic bWU6aHVudGVyMg==";
};

TEST_F(RemoteClientTest, ReadsWithoutALoginWhereNoneIsAskedFor)
{
    log_in(fake.host());
    fake.set_hook([](const Request& request) -> std::optional<Answer> {
        EXPECT_EQ("", request.header("Authorization"));
        return std::nullopt;
    });
    EXPECT_EQ(content, read());
    EXPECT_THAT(fake.requests(), Contains("GET /v2/team/web/blobs/" + blob.digest.to_string()));
}

TEST_F(RemoteClientTest, LogsInByNameAndPassword)
{
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        return request.header("Authorization") == basic
                   ? std::nullopt
                   : std::optional(Answer{.status = 401, .headers = {"WWW-Authenticate: Basic realm=\"x\""}});
    });
    EXPECT_EQ(ErrorKind::permission_denied, failure().kind());
    EXPECT_THAT(failure().what(), HasSubstr("it asks for a login, and no file has credentials for " + fake.host()));
    log_in(fake.host());
    EXPECT_EQ(content, read());
    write_file_durably(temporary.path() / "auth.json",
                       R"({"auths": {")" + fake.host() + R"(": {"username": "me", "password": "hunter3"}}})", 0600);
    const Error refused = failure();
    EXPECT_EQ(ErrorKind::permission_denied, refused.kind());
    EXPECT_THAT(refused.what(), HasSubstr("it refuses the name and password in " + temporary.path().native()));
    EXPECT_THAT(refused.what() + refused.hint(), Not(HasSubstr("hunter")));
}

TEST_F(RemoteClientTest, LogsInByATokenForJustThisRepository)
{
    log_in(fake.host());
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        if (request.path.starts_with("/token")) {
            EXPECT_EQ("/token?a=b&scope=repository%3Ateam%2Fweb%3Apull%2Cpush&service=the%20service", request.path);
            EXPECT_EQ(basic, request.header("Authorization"));
            return Answer{.body = R"({"token": "abc.def", "expires_in": 60})"};
        }
        if (request.header("Authorization") == "Bearer abc.def") {
            return std::nullopt;
        }
        return Answer{.status = 401,
                      .headers = {"WWW-Authenticate: Bearer realm=\"http://" + fake.host() +
                                  "/token?a=b\",service=\"the service\",scope=\"repository:all:*\""}};
    });
    with_client([&](RemoteClient& client) { EXPECT_EQ(content, client.read_blob(blob)); }, Access::push);
    EXPECT_EQ(1, fake.count("GET /token"));
}

TEST_F(RemoteClientTest, ATokenServerElsewhereGetsNoPasswordUnlessTheFileNamesIt)
{
    FakeRegistry elsewhere; // "localhost" is another name than 127.0.0.1
    const std::string elsewhere_port = elsewhere.host().substr(elsewhere.host().find(':'));
    std::atomic<int> passwords = 0;
    elsewhere.set_hook([&](const Request& request) -> std::optional<Answer> {
        passwords += request.header("Authorization").empty() ? 0 : 1;
        return request.header("Authorization") == basic ? Answer{.body = R"({"access_token": "t"})"}
                                                        : Answer{.status = 401};
    });
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        if (request.header("Authorization") == "Bearer t") {
            return std::nullopt;
        }
        return Answer{.status = 401,
                      .headers = {"WWW-Authenticate: Bearer realm=\"http://localhost" + elsewhere_port + "/token\""}};
    });
    log_in(fake.host());
    const Error error = failure();
    EXPECT_EQ(ErrorKind::permission_denied, error.kind());
    EXPECT_THAT(error.hint(), HasSubstr(R"("kiln_token_host": "localhost")"));
    EXPECT_EQ(0, passwords);
    log_in(fake.host(), R"(, "kiln_token_host": "localhost")");
    EXPECT_EQ(content, read());
    EXPECT_EQ(1, passwords);
}

TEST_F(RemoteClientTest, HostileTokensAndChallengesAreRefused)
{
    std::string challenge;
    std::string token;
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        return request.path.starts_with("/token")
                   ? Answer{.body = token}
                   : Answer{.status = 401, .headers = {"WWW-Authenticate: " + challenge}};
    });
    challenge = "Bearer realm=\"http://" + fake.host() + "/token\"";
    for (const char* hostile :
         {R"({"token": "a\r\nX-Evil: b"})", R"({"token": ""})", R"({"token": 1})", "hunter2", "[]"}) {
        token = hostile;
        const Error error = failure();
        EXPECT_EQ(ErrorKind::network, error.kind()) << hostile;
        EXPECT_THAT(error.what(), Not(HasSubstr("hunter"))) << hostile;
    }
    for (const char* hostile : {"Bearer", "Bearer realm=\"file:///etc/passwd\"", "Bearer realm=\"/token\""}) {
        challenge = hostile;
        EXPECT_EQ(ErrorKind::network, failure().kind()) << hostile;
    }
    challenge = "Bearer realm=\"http://registry.example/token\"";
    EXPECT_EQ(ErrorKind::untrusted, failure().kind());
    challenge = "Negotiate";
    EXPECT_EQ(ErrorKind::permission_denied, failure().kind());
    // A token that is refused again is not asked for for ever.
    challenge = "Bearer realm=\"http://" + fake.host() + "/token\"";
    token = R"({"token": "t"})";
    fake.forget_requests();
    EXPECT_EQ(ErrorKind::permission_denied, failure().kind());
    EXPECT_LE(fake.requests().size(), 6U);
}

TEST_F(RemoteClientTest, Attack45_ARedirectToAnotherSchemeOrAnotherWayInTheClearIsRefused)
{
    std::string location;
    fake.set_hook([&](const Request&) { return Answer{.status = 307, .headers = {"Location: " + location}}; });
    for (const char* to : {"https://127.0.0.1:1/x", "file:///etc/passwd", "ftp://127.0.0.1/x",
                           "http://me:word@127.0.0.1/", "http://storage.example/x"}) {
        location = to;
        const Error error = failure();
        EXPECT_NE(ErrorKind::internal, error.kind()) << to;
    }
    location = "https://127.0.0.1:1/x";
    EXPECT_EQ(ErrorKind::untrusted, failure().kind());
    EXPECT_THAT(failure().what(), HasSubstr("it leads on from http to https"));
    location = "http://storage.example/x";
    EXPECT_EQ(ErrorKind::untrusted, failure().kind());
    location = "/v2/team/web/again";
    EXPECT_THAT(failure().what(), HasSubstr("it leads on and on"));
}

TEST_F(RemoteClientTest, Attack45_ARedirectToAnotherHostGetsNoCredentials)
{
    FakeRegistry storage;
    storage.blobs["it"] = content;
    storage.set_hook([](const Request& request) -> std::optional<Answer> {
        EXPECT_EQ("", request.header("Authorization"));
        return std::nullopt;
    });
    log_in(fake.host());
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        return request.header("Authorization") == basic
                   ? Answer{.status = 307, .headers = {"Location: http://" + storage.host() + "/bucket/it?signature=x"}}
                   : Answer{.status = 401, .headers = {"WWW-Authenticate: Basic realm=\"x\""}};
    });
    EXPECT_EQ(content, read());
    EXPECT_EQ(1, storage.count("GET /bucket/it?signature=x"));
    // What fails there is told without the signature.
    storage.set_hook([](const Request&) { return Answer{.status = 403}; });
    EXPECT_THAT(failure().what(), Not(HasSubstr("signature")));
}

TEST_F(RemoteClientTest, PlainHttpIsForThisMachineOnly)
{
    const RemoteReference there = parse_remote_reference("oci://registry.example/web");
    EXPECT_EQ("https", Repository(there, Access::pull, options).root().scheme);
    EXPECT_EQ("http", Repository(parse_remote_reference("oci://localhost/web"), Access::pull, options).root().scheme);
    options.plain_http = true;
    EXPECT_EQ("http", Repository(there, Access::pull, options).root().scheme);
    options.plain_http = false;
    options.ca_file = "/some/ca.pem";
    EXPECT_EQ("https", Repository(parse_remote_reference("oci://localhost/web"), Access::pull, options).root().scheme);
}

TEST_F(RemoteClientTest, TriesAgainWhatMayPass)
{
    options.limits.attempts = 4;
    std::atomic<int> asked = 0;
    std::atomic<int> notes = 0;
    options.note = [&](std::string_view) { ++notes; };
    fake.set_hook([&](const Request&) -> std::optional<Answer> {
        switch (++asked) {
        case 1:
            return Answer{.status = 503, .headers = {"Retry-After: 0"}};
        case 2:
            return Answer{.status = 429};
        case 3:
            return Answer{.raw = [](int, const std::stop_token&) {}}; // ends without an answer
        default:
            return std::nullopt;
        }
    });
    EXPECT_EQ(content, read());
    EXPECT_EQ(4, asked);
    EXPECT_EQ(3, notes);
    fake.set_hook([](const Request&) { return Answer{.status = 500, .body = "hunter2"}; });
    const Error error = failure();
    EXPECT_EQ(ErrorKind::network, error.kind());
    EXPECT_THAT(error.what(), HasSubstr("it answers with the status 500, also at try 4"));
    EXPECT_THAT(error.what(), Not(HasSubstr("hunter2")));
}

TEST_F(RemoteClientTest, WhatIsRefusedIsNotTriedAgain)
{
    fake.set_hook([](const Request&) { return Answer{.status = 403, .body = R"({"errors":[{"code":"DENIED"}]})"}; });
    const Error error = failure();
    EXPECT_EQ(ErrorKind::permission_denied, error.kind());
    EXPECT_THAT(error.what(), HasSubstr("it answers with the status 403 (DENIED)"));
    EXPECT_EQ(1U, fake.requests().size());
    fake.set_hook(nullptr);
    fake.blobs.clear();
    EXPECT_EQ(ErrorKind::not_found, failure().kind());
}

TEST_F(RemoteClientTest, Attack33_WhatIsTooLongTooShortOrOtherIsRefused)
{
    fake.blobs[blob.digest.to_string()] = content + "!";
    EXPECT_EQ(ErrorKind::untrusted, failure().kind());
    std::string other = content;
    other[0] = 'A';
    fake.blobs[blob.digest.to_string()] = other;
    EXPECT_EQ(ErrorKind::untrusted, failure().kind());
    EXPECT_THAT(failure().what(), HasSubstr("is something else"));
    fake.set_hook([&](const Request&) { return Answer{.body = content, .length = content.size() + 5}; });
    EXPECT_EQ(ErrorKind::network, failure().kind());
    EXPECT_THAT(failure().what(), HasSubstr("ended early"));
    // One that never ends is cut at the size that it should have.
    std::atomic<bool> ended = false;
    fake.set_hook([&](const Request&) {
        return Answer{.raw = [&](int connection, const std::stop_token& stop) {
            TcpServer::send(connection, "HTTP/1.1 200 OK\r\n\r\n");
            while (!stop.stop_requested() && TcpServer::send(connection, std::string(65536, 'x'))) {
            }
            ended = true;
        }};
    });
    EXPECT_EQ(ErrorKind::untrusted, failure().kind());
    std::this_thread::sleep_for(100ms);
    EXPECT_TRUE(ended);
}

TEST_F(RemoteClientTest, Attack33_WhatDripsIsLeft)
{
    const auto drip = [](int connection, const std::stop_token& stop) {
        TcpServer::send(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while (!stop.stop_requested() && TcpServer::send(connection, ".")) {
            std::this_thread::sleep_for(5ms);
        }
    };
    fake.set_hook([&](const Request&) { return Answer{.raw = drip}; });
    const bundle::Descriptor large{"x", blob.digest, mebibytes(1)};
    const auto started = std::chrono::steady_clock::now();
    with_client([&](RemoteClient& client) {
        try { // a blob, by its rate
            client.read_from(large, 0, [](std::uint64_t, std::string_view) { return true; });
            FAIL();
        } catch (const PassingError& error) {
            EXPECT_THAT(error.what(), HasSubstr("too slow"));
        }
        try { // a document, by its time
            static_cast<void>(client.read_blob(large));
            FAIL();
        } catch (const Error& error) {
            EXPECT_EQ(ErrorKind::network, error.kind());
            EXPECT_THAT(error.what(), HasSubstr("too slow, or does not answer, also at try 2"));
        }
    });
    EXPECT_LT(std::chrono::steady_clock::now() - started, 20s);
}

TEST_F(RemoteClientTest, ReadsOnWhereItWasToldTo)
{
    std::string got;
    const auto take = [&](std::uint64_t offset, std::string_view piece) {
        got.resize(offset);
        got += piece;
        return true;
    };
    with_client([&](RemoteClient& client) {
        client.read_from(blob, 7, take);
        EXPECT_EQ(content.substr(7), got.substr(7));
        // A server that does not know ranges sends all of it.
        fake.set_hook([&](const Request&) { return Answer{.body = content}; });
        client.read_from(blob, 7, take);
        EXPECT_EQ(content, got);
        fake.set_hook([&](const Request&) {
            return Answer{.status = 206, .headers = {"Content-Range: bytes 3-5/9"}, .body = "xxx"};
        });
        EXPECT_EQ(ErrorKind::network, error_of([&] { client.read_from(blob, 7, take); }).kind());
        fake.set_hook([&](const Request&) { return Answer{.status = 416}; });
        EXPECT_EQ(ErrorKind::network, error_of([&] { client.read_from(blob, 7, take); }).kind());
        EXPECT_EQ("", got); // from the beginning, then
    });
}

TEST_F(RemoteClientTest, UploadsOnceAndAgainAfterAFailure)
{
    const std::string text(3'000'000, 'u');
    const bundle::Descriptor large{"x", digest_of(text), ByteSize(text.size())};
    std::atomic<int> puts = 0;
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        if (request.method == "PUT" && ++puts == 1) {
            return Answer{.status = 502};
        }
        return std::nullopt;
    });
    with_client(
        [&](RemoteClient& client) {
            EXPECT_FALSE(client.has_blob(large));
            client.put_blob(large, [&] { return body_of(text); });
            EXPECT_TRUE(client.has_blob(large));
            EXPECT_FALSE(client.put_manifest("1.0.0", "{}", bundle::oci_manifest_type));
            EXPECT_EQ("{}", client.find_manifest("1.0.0"));
            EXPECT_EQ("{}", client.find_manifest(digest_of("{}")));
            EXPECT_EQ(std::nullopt, client.find_manifest("2.0.0"));
            EXPECT_EQ(std::nullopt, client.find_referrers(large.digest));
        },
        Access::push);
    EXPECT_EQ(2, fake.count("POST /v2/team/web/blobs/uploads/"));
    EXPECT_EQ(text, fake.blobs[large.digest.to_string()]);
    fake.set_hook([&](const Request& request) -> std::optional<Answer> {
        return request.method == "POST"
                   ? std::optional(Answer{.status = 202, .headers = {"Location: https://127.0.0.1:1/up"}})
                   : std::nullopt;
    });
    with_client(
        [&](RemoteClient& client) {
            EXPECT_EQ(ErrorKind::untrusted,
                      error_of([&] { client.put_blob(large, [&] { return body_of(text); }); }).kind());
        },
        Access::push);
}

TEST_F(RemoteClientTest, AManifestThatIsAnotherOneIsRefused)
{
    fake.manifests[digest_of("{}").to_string()] = "[]";
    with_client([&](RemoteClient& client) {
        EXPECT_EQ(ErrorKind::untrusted,
                  error_of([&] { static_cast<void>(client.find_manifest(digest_of("{}"))); }).kind());
    });
}

TEST_F(RemoteClientTest, NobodyThereIsSaidAfterSomeTries)
{
    const std::uint16_t gone = [] {
        const TcpServer server([](int, const std::stop_token&) {});
        return server.port();
    }();
    Repository repository(parse_remote_reference(fmt::format("oci://127.0.0.1:{}/web", gone)), Access::pull, options);
    RemoteClient client(repository, {});
    const Error error = error_of([&] { static_cast<void>(client.find_manifest("x")); });
    EXPECT_EQ(ErrorKind::network, error.kind());
    EXPECT_THAT(error.what(), HasSubstr("it can't be reached: "));
}

TEST_F(RemoteClientTest, AStopEndsIt)
{
    std::stop_source stop;
    fake.set_hook([&](const Request&) {
        stop.request_stop();
        return Answer{.raw = [](int, const std::stop_token& ended) {
            while (!ended.stop_requested()) {
                std::this_thread::sleep_for(10ms);
            }
        }};
    });
    with_client(
        [&](RemoteClient& client) {
            EXPECT_EQ(ErrorKind::interrupted, error_of([&] { static_cast<void>(client.read_blob(blob)); }).kind());
        },
        Access::pull, stop.get_token());
}

} // namespace
} // namespace kiln::registry::remote
