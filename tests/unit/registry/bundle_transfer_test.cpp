// SPDX-License-Identifier: Apache-2.0
// Images as single files: what is exported comes back under another id, from a file or a pipe, once, and whole.
#include "registry/test_result.h"
#include "tests/unit/registry/bundle_fixture.h"

#include <array>
#include <csignal>
#include <fcntl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using test::MadeMember;
using ::testing::HasSubstr;

TEST_F(BundleTransferTest, ComesBackWithAnotherIdAndAllThatIsAttached)
{
    const Image image = publish_with_sbom("web");
    const Image back = import(exported(image));
    EXPECT_NE(image.id, back.id);
    EXPECT_EQ(image.manifest, back.manifest);
    EXPECT_EQ("web", back.name);
    EXPECT_EQ(image.stored_size, back.stored_size);
    EXPECT_EQ(image.created, back.created);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
    EXPECT_EQ(parse_json(R"({"spdxVersion":"SPDX-2.3"})", "x"),
              other.attachment(back, bundle::sbom_artifact_type, trust));
    EXPECT_TRUE(imports() == 0);
}

TEST_F(BundleTransferTest, ATestsResultGoesAlong)
{
    const Image image = publish_with_sbom("web");
    attach_test_run(region, image, {.finished = "2026-11-26T08:00:00Z", .passed = {"it answers"}}, key);
    const Image back = import(exported(image));
    const auto run = newest_test_run(other.layout(), back, trust);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->passed, std::vector<std::string>{"it answers"});
}

TEST_F(BundleTransferTest, TheSameImageIsTheSameFileInItsOrder)
{
    const Image image = publish_with_sbom("web");
    const std::string bytes = exported(image);
    EXPECT_EQ(bytes, exported(image));
    const std::vector<MadeMember> members = test::members_of(bytes);
    ASSERT_EQ(11U, members.size()); // + image, config, 2 x (manifest, envelope), the empty blob, 2 layers
    EXPECT_EQ("oci-layout", members[0].name);
    EXPECT_EQ("index.json", members[1].name);
    EXPECT_EQ("blobs/sha256/" + image.manifest.hex(), members[2].name);
    const auto manifest = region.load_manifest(image);
    EXPECT_EQ("blobs/sha256/" + manifest.block_devices[0].layers[1].digest.hex(), members[10].name);
    EXPECT_EQ(test::tar_of(members).size(), bytes.size());
}

TEST_F(BundleTransferTest, ComesThroughAPipeThatIsPaddedToARecord)
{
    std::string bytes = exported(publish_with_sbom("web"));
    bytes.resize(bytes.size() + 300'000);
    std::array<int, 2> pipe{};
    ASSERT_EQ(0, ::pipe(pipe.data()));
    std::size_t sent = 0;
    std::jthread writer([&] {
        while (sent < bytes.size()) {
            const ssize_t written =
                ::write(pipe[1], bytes.data() + sent, std::min<std::size_t>(bytes.size() - sent, 7777));
            if (written <= 0) {
                break;
            }
            sent += static_cast<std::size_t>(written);
        }
        ::close(pipe[1]);
    });
    const Image back = other.import_image(pipe[0], trust, {.account = test::owner, .key = key}, silent_transfer);
    writer.join();
    ::close(pipe[0]);
    EXPECT_EQ(bytes.size(), sent);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
}

TEST_F(BundleTransferTest, ImportingTwiceIsTold)
{
    const std::string bytes = exported(publish_with_sbom("web"));
    const Image first = import(bytes);
    const Error again = test::error_of([&] { static_cast<void>(import(bytes)); });
    EXPECT_EQ(ErrorKind::conflict, again.kind());
    EXPECT_EQ("web 1.0.0 (x86_64) is already in region other as " + first.id + ": the very same image",
              again.message());
    const std::string disk = test::made_qcow2("another");
    const Error another =
        test::error_of([&] { static_cast<void>(import(test::tar_of(made(manifest_over(disk), disk, key)))); });
    EXPECT_EQ(ErrorKind::conflict, another.kind());
    EXPECT_EQ("region other has another image of the name and version web 1.0.0 (x86_64): " + first.id,
              another.message());
    EXPECT_EQ(1U, other.images().size());
}

TEST_F(BundleTransferTest, WhatATestMakesIsTakenUnlessItIsChanged)
{
    const std::string disk = test::made_qcow2("disk");
    EXPECT_EQ("web", import(test::tar_of(made(manifest_over(disk), disk, key))).name);
}

TEST_F(BundleTransferTest, Attack22_OnlyWhoMayLaunchItMayTakeIt)
{
    const Error error = refusal(exported(publish_with_sbom("web")), stranger);
    EXPECT_EQ(ErrorKind::permission_denied, error.kind());
    EXPECT_THAT(error.message(), HasSubstr("launch permission: account 999999999999 may not launch it"));
    EXPECT_EQ("shop", import(exported(publish_with_sbom("shop", true)), stranger).name);
}

TEST_F(BundleTransferTest, Attack33_ACutBundleFailsWhereverItIsCut)
{
    const std::string bytes = exported(publish_with_sbom("web"));
    for (std::size_t length = 0; length + 1024 < bytes.size(); length += 997) {
        EXPECT_EQ(ErrorKind::untrusted, refusal(bytes.substr(0, length)).kind()) << length;
    }
}

TEST_F(BundleTransferTest, AnInterruptedImportLeavesNothing)
{
    std::stop_source stop;
    write_file_durably(file, exported(publish_with_sbom("web")));
    const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    const Error error = test::error_of([&] {
        static_cast<void>(other.import_image(
            fd.get(), trust, {.account = test::owner, .key = key},
            {.transferred = [&](ByteSize, ByteSize) { stop.request_stop(); }, .stop = stop.get_token()}));
    });
    EXPECT_EQ(ErrorKind::interrupted, error.kind());
    EXPECT_TRUE(other.images().empty());
    EXPECT_TRUE(imports() == 0);
}

// Half a bundle, then nothing more: the import waits, is killed, and the next one cleans up behind it.
TEST_F(BundleTransferTest, Attack23_AKilledImportLeavesNothingThatGrows)
{
    const std::string bytes = exported(publish_with_sbom("web"));
    const std::size_t steps = 8;
    for (std::size_t step = 0; step <= steps; ++step) {
        std::array<int, 2> pipe{};
        ASSERT_EQ(0, ::pipe(pipe.data()));
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            ::close(pipe[1]);
            try {
                Region mine(temporary.path() / "other", "other");
                static_cast<void>(
                    mine.import_image(pipe[0], trust, {.account = test::owner, .key = key}, silent_transfer));
            } catch (...) {
            }
            ::_exit(0);
        }
        ::close(pipe[0]);
        const std::string part = bytes.substr(0, (bytes.size() - 2048) * step / steps);
        ASSERT_EQ(static_cast<ssize_t>(part.size()), ::write(pipe[1], part.data(), part.size()));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        ::close(pipe[1]);
        EXPECT_TRUE(other.images().empty());
        EXPECT_LE(imports(), 1) << step;
    }
    const Image back = import(bytes);
    EXPECT_TRUE(decide(other, back, trust, test::owner).passed());
    EXPECT_TRUE(imports() == 0);
}

TEST_F(BundleTransferTest, Attack26_OfManyImportsOneWins)
{
    const std::string bytes = exported(publish_with_sbom("web"));
    write_file_durably(file, bytes);
    std::array<int, 4> results{};
    {
        std::vector<std::jthread> threads;
        for (int& result : results) {
            threads.emplace_back([&] {
                const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
                try {
                    Region mine(temporary.path() / "other", "other");
                    static_cast<void>(
                        mine.import_image(fd.get(), trust, {.account = test::owner, .key = key}, silent_transfer));
                } catch (const Error& error) {
                    result = exit_code(error.kind());
                }
            });
        }
    }
    EXPECT_EQ(1, std::ranges::count(results, 0));
    EXPECT_EQ(3, std::ranges::count(results, 10));
    EXPECT_EQ(1U, other.images().size());
    EXPECT_TRUE(decide(other, other.images().at(0), trust, test::owner).passed());
}

TEST_F(BundleTransferTest, ADamagedBlobIsNotExported)
{
    const Image image = publish_with_sbom("web");
    const VerifiedImage verified = verify(region, image, trust, test::owner);
    const fs::path blob = verified.layer_paths(verified.manifest().block_devices[0]).at(0);
    std::string bytes = read_file(blob);
    bytes.back() = 'x';
    overwrite(blob, bytes);
    const FileDescriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const Error error = test::error_of([&] { export_image(region, verified, fd.get(), silent_transfer); });
    EXPECT_EQ(ErrorKind::untrusted, error.kind());
    EXPECT_THAT(error.message(), HasSubstr("is damaged or was changed"));
}

} // namespace
} // namespace kiln::registry
