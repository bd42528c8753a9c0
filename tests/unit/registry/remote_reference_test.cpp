// SPDX-License-Identifier: Apache-2.0
// Addresses of remote images, and the files with the credentials for them.
#include "registry/remote/authorization.h"
#include "registry/remote/credentials.h"
#include "tests/unit/registry/region_fixture.h"

namespace kiln::registry::remote
{
namespace
{
using test::error_of;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string hex(64, 'a');

TEST(RemoteReferenceTest, HasAHostARepositoryATagAndADigest)
{
    const RemoteReference reference =
        parse_remote_reference("oci://registry.example:5000/team/web_1:1.0.0-x86_64@sha256:" + hex);
    EXPECT_EQ("registry.example:5000", reference.host);
    EXPECT_EQ("team/web_1", reference.repository);
    EXPECT_EQ("1.0.0-x86_64", reference.tag);
    EXPECT_EQ("sha256:" + hex, reference.digest->to_string());
    EXPECT_EQ("oci://registry.example:5000/team/web_1:1.0.0-x86_64@sha256:" + hex, reference.to_string());
    EXPECT_EQ("[::1]:5000", parse_remote_reference("oci://[::1]:5000/web").host);
    EXPECT_EQ("localhost", parse_remote_reference("oci://localhost/a--b/c__d.e").host);
}

TEST(RemoteReferenceTest, Attack43_MalformedAddressesAreRefused)
{
    for (const std::string text : {"registry.example/web",
                                   "oci://",
                                   "oci://registry.example",
                                   "oci://registry.example/",
                                   "oci:///web",
                                   "oci://a:0/web",
                                   "oci://a:70000/web",
                                   "oci://a:/web",
                                   "oci://a/Web",
                                   "oci://a/../web",
                                   "oci://a/web/",
                                   "oci://a//web",
                                   "oci://a/web:",
                                   "oci://a/web:-x",
                                   "oci://a/web:a b",
                                   "oci://a/web@sha256:1",
                                   "oci://-a/web",
                                   "oci://a..b/web",
                                   "oci://a/w\x1b[31m",
                                   "oci://a/web?x=1",
                                   "oci://a/web#x",
                                   "oci://a\n/web",
                                   "oci://A/web",
                                   "oci://a/web___x",
                                   "oci://a/.web",
                                   "https://a/web",
                                   "oci://[::1/web",
                                   "oci://a/web:x/y"}) {
        const Error error = error_of([&] { static_cast<void>(parse_remote_reference(text)); });
        EXPECT_EQ(ErrorKind::usage, error.kind()) << text;
    }
}

TEST(RemoteReferenceTest, APasswordInItIsNotRepeated)
{
    const Error error = error_of([&] { static_cast<void>(parse_remote_reference("oci://me:hunter2@a/web")); });
    EXPECT_EQ(ErrorKind::usage, error.kind());
    EXPECT_THAT(error.what(), HasSubstr("holds a name or password"));
    EXPECT_THAT(error.what(), Not(HasSubstr("hunter2")));
}

class CredentialsTest : public ::testing::Test
{
protected:
    test::TemporaryFolder temporary;
    std::filesystem::path file = temporary.path() / "auth.json";

    void write(const std::string& text, mode_t mode = 0600) const { write_file_durably(file, text, mode); }
    std::optional<Credentials> find(const std::string& address) const
    {
        return find_credentials({temporary.path() / "none", file}, parse_remote_reference(address));
    }
};

TEST_F(CredentialsTest, TheNearestEntryCounts)
{
    // "me:word:1", "you:other"
    write(R"({"auths": {"https://a:5000/v2/": {"auth": "bWU6d29yZDox"}, "a:5000/team/web": {"auth": "eW91Om90aGVy"},
                        "b": {"username": "x", "password": "y", "kiln_token_host": "auth.b"}, "c": {}}})");
    EXPECT_EQ("me", find("oci://a:5000/web")->user);
    EXPECT_EQ("word:1", find("oci://a:5000/web")->password);
    EXPECT_EQ("you", find("oci://a:5000/team/web")->user);
    EXPECT_EQ("me", find("oci://a:5000/team/web2")->user);
    EXPECT_EQ("auth.b", find("oci://b/web")->token_host);
    EXPECT_FALSE(find("oci://a/web"));
    EXPECT_FALSE(find("oci://c/web"));
    EXPECT_FALSE(find("oci://a:5001/web"));
}

TEST_F(CredentialsTest, NothingOfAFileIsInAnError)
{
    for (const std::string text : {R"({"auths": {"a": {"auth": "hunter2"}}})", R"({"auths": hunter2)", R"("hunter2")",
                                   R"({"auths": {"a": {"auth": "hunter2)"}) {
        write(text);
        const Error error = error_of([&] { static_cast<void>(find("oci://a/web")); });
        EXPECT_EQ(ErrorKind::io, error.kind()) << text;
        EXPECT_THAT(error.what(), Not(HasSubstr("hunter"))) << text;
    }
}

TEST_F(CredentialsTest, AFileThatOthersCanReadIsRefusedWhereItCounts)
{
    write(R"({"auths": {"a": {"auth": "bWU6d29yZA=="}}})", 0644);
    const Error error = error_of([&] { static_cast<void>(find("oci://a/web")); });
    EXPECT_EQ(ErrorKind::permission_denied, error.kind());
    EXPECT_FALSE(find("oci://b/web"));
}

TEST_F(CredentialsTest, AFileThatIsNamedIsTheOnlyOne)
{
    ::setenv("REGISTRY_AUTH_FILE", file.c_str(), 1);
    EXPECT_EQ(std::vector{file}, credential_files("/own"));
    ::unsetenv("REGISTRY_AUTH_FILE");
    EXPECT_EQ("/own", credential_files("/own").front());
    EXPECT_GE(credential_files("/own").size(), 2U);
}

TEST(ChallengeTest, ParametersAreFoundInHostileText)
{
    const std::string text = R"( realm="https://a/t?x=\"1\"",service = x, Service="a b",scope=c)";
    EXPECT_EQ(R"(https://a/t?x="1")", challenge_parameter(text, "realm"));
    EXPECT_EQ(std::nullopt, challenge_parameter(text, "service")); // what follows a malformed one is not read
    EXPECT_EQ("c", challenge_parameter(R"(realm="x", scope=c)", "SCOPE"));
    for (const char* hostile : {"", "realm", "realm=\"x", "=", "realm=\"x\\", ",,,", "  ", "\"realm\"=x"}) {
        EXPECT_EQ(std::nullopt, challenge_parameter(hostile, "realm")) << hostile;
    }
}

} // namespace
} // namespace kiln::registry::remote
