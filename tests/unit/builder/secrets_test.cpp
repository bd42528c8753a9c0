// SPDX-License-Identifier: Apache-2.0
#include "builder/secrets.h"

#include "core/error.h"
#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace kiln::builder
{
namespace
{

using testing::HasSubstr;
using testing::Not;

class SecretsTest : public testing::Test
{
protected:
    std::vector<recipes::Secret> file_secret(std::string_view value)
    {
        const std::filesystem::path file = folder_.path() / "secret";
        write_file_durably(file, value, 0600);
        return {{.name = "token", .file = file}};
    }
    static std::string message_of(const std::vector<recipes::Secret>& declared, ErrorKind kind)
    {
        try {
            const Secrets secrets(declared, {"token"});
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), kind);
            return error.what();
        }
        return "no error";
    }

    test::TemporaryFolder folder_;
};

TEST_F(SecretsTest, AreReadWholeFromFileAndEnvironment)
{
    std::vector<recipes::Secret> declared = file_secret("from the file\n");
    ::setenv("KILN_TEST_SECRET", "from the environment", 1);
    declared.push_back({.name = "other", .environment_name = "KILN_TEST_SECRET"});
    const Secrets secrets(declared, {"token", "other"});
    EXPECT_EQ(secrets.value("token"), "from the file\n");
    EXPECT_EQ(secrets.value("other"), "from the environment");
    ::unsetenv("KILN_TEST_SECRET");
}

TEST_F(SecretsTest, OnlyTheOnesAskedForAreRead)
{
    const std::vector<recipes::Secret> declared = {{.name = "token", .file = folder_.path() / "missing"}};
    const Secrets secrets(declared, {});
    EXPECT_THROW((void)secrets.value("token"), Error);
}

TEST_F(SecretsTest, ErrorsNameTheSecretButNotItsValue)
{
    EXPECT_THAT(message_of({{.name = "token", .file = folder_.path() / "missing"}}, ErrorKind::not_found),
                HasSubstr("reading the secret \"token\""));
    EXPECT_THAT(message_of({{.name = "token", .environment_name = "KILN_TEST_UNSET"}}, ErrorKind::usage),
                HasSubstr("KILN_TEST_UNSET is not set"));
    EXPECT_THAT(message_of(file_secret("\n"), ErrorKind::usage), HasSubstr("it is empty"));
    EXPECT_THAT(message_of({{.name = "token", .file = folder_.path()}}, ErrorKind::usage),
                HasSubstr("is not a regular file"));
    const std::string large = message_of(file_secret(std::string(largest_secret.bytes() + 1, 'k')), ErrorKind::io);
    EXPECT_THAT(large, HasSubstr("token"));
    EXPECT_THAT(large, Not(HasSubstr("kkkk")));
    EXPECT_THAT(message_of({}, ErrorKind::internal), HasSubstr("has no secret \"token\""));
}

TEST_F(SecretsTest, AreStruckOut)
{
    const Secrets secrets(file_secret("canary42\n"), {"token"});
    EXPECT_EQ(secrets.redact("a canary42 b canary42canary42\n"), "a *** b ******\n");
    EXPECT_EQ(secrets.redact("canary4"), "canary4");
    EXPECT_EQ(secrets.redact(""), "");
    EXPECT_EQ(Secrets().redact("canary42"), "canary42");
}

TEST_F(SecretsTest, LongLinesOfAKeyAreStruckOutOneByOne)
{
    const Secrets secrets(file_secret("BEGIN KEY\nsomebase64text\n}\nEND\n"), {"token"});
    EXPECT_EQ(secrets.redact("> somebase64text\n> }\n> END\n"), "> ***\n> }\n> END\n");
    EXPECT_EQ(secrets.redact("BEGIN KEY\nsomebase64text\n}\nEND"), "***");
}

TEST_F(SecretsTest, ACutTextHoldsNoPartOfOne)
{
    const Secrets secrets(file_secret("canary42"), {"token"});
    const std::string text = "0123456789 canary42";
    for (std::size_t length = 0; length <= text.size(); ++length) {
        const std::string shown = secrets.redact_cut(text.substr(0, length));
        EXPECT_THAT(shown, Not(HasSubstr("c"))) << shown;
    }
}

TEST(SecretsOfSteps, AreTheNamesThatRunStepsAskFor)
{
    recipes::RunStep run;
    run.secrets = {"b", "a"};
    const std::vector<recipes::Step> steps = {{.action = run}, {.action = recipes::HostnameStep{"web"}}};
    EXPECT_EQ(secrets_of(steps), (std::set<std::string>{"a", "b"}));
}

} // namespace
} // namespace kiln::builder
