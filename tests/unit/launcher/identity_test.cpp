// SPDX-License-Identifier: Apache-2.0
// The instance identity document and its signature, which openssl verifies as docs/networking.md says.
#include "core/files.h"
#include "core/process.h"
#include "launcher/metadata/identity.h"
#include "launcher/metadata/metadata_tree.h"
#include "signing/base64.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;

std::vector<std::string> verify_command(signing::KeyType type, const fs::path& folder)
{
    const auto in = [&](const char* name) { return (folder / name).native(); };
    if (type == signing::KeyType::ed25519) {
        return {"openssl", "pkeyutl", "-verify", "-pubin",   "-inkey",       in("account.pem"),
                "-rawin",  "-in",     in("doc"), "-sigfile", in("signature")};
    }
    return {"openssl", "dgst", "-sha256", "-verify", in("account.pem"), "-signature", in("signature"), in("doc")};
}

TEST(InstanceIdentity, OpensslVerifiesItWithTheAccountsKey)
{
    if (!find_program("openssl")) {
        GTEST_SKIP() << "openssl is not installed";
    }
    for (const auto type : {signing::KeyType::ed25519, signing::KeyType::ecdsa_p256}) {
        const test::TemporaryFolder folder;
        const Instance instance = small_instance(InstancePaths(paths_in(folder.path()), "i-0123456789abcdef0"));
        const signing::SecretKey key = signing::SecretKey::generate(type);
        write_identity(folder.path(), instance, key);
        const auto identity = load_identity(folder.path(), instance);
        ASSERT_TRUE(identity);
        write_file_durably(folder.path() / "doc", identity->document);
        write_file_durably(folder.path() / "signature", signing::parse_base64(identity->signature).value());
        write_file_durably(folder.path() / "account.pem", key.public_key().to_pem());
        EXPECT_TRUE(run({.argv = verify_command(type, folder.path())}).succeeded());
        std::string other = identity->document;
        other.replace(other.find("t3.small"), 8, "t3.large");
        write_file_durably(folder.path() / "doc", other);
        EXPECT_FALSE(run({.argv = verify_command(type, folder.path())}).succeeded());
    }
}

TEST(InstanceIdentity, ASignatureOfWhatItWasBeforeIsNone)
{
    const test::TemporaryFolder folder;
    Instance instance = small_instance(InstancePaths(paths_in(folder.path()), "i-0123456789abcdef0"));
    EXPECT_FALSE(load_identity(folder.path(), instance)); // of an older Kiln
    write_identity(folder.path(), instance, signing::SecretKey::generate());
    EXPECT_TRUE(load_identity(folder.path(), instance));
    instance.type = "t3.large";
    EXPECT_FALSE(load_identity(folder.path(), instance));
    write_identity(folder.path(), instance, std::nullopt); // its key is encrypted
    EXPECT_FALSE(fs::exists(folder.path() / "identity.json"));
    write_file_durably(folder.path() / "identity.json", "{}");
    EXPECT_THROW(static_cast<void>(load_identity(folder.path(), instance)), std::exception);
}

} // namespace
} // namespace kiln::launcher
