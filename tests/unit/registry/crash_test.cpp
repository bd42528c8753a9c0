// SPDX-License-Identifier: Apache-2.0
// Many publishers at once, and publishers that are killed: a region is always whole.
#include "tests/unit/registry/region_fixture.h"

#include <array>
#include <chrono>
#include <csignal>
#include <random>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using test::manifest_to_publish;

class CrashTest : public test::RegionTest
{
protected:
    // Runs `action` in a process of its own, which ends with its result (99: an exception).
    template <typename Action> static pid_t start(Action action)
    {
        const pid_t child = ::fork();
        if (child == 0) {
            try {
                ::_exit(action());
            } catch (...) {
                ::_exit(99);
            }
        }
        return child;
    }
    static int end_of(pid_t child)
    {
        int status = 0;
        EXPECT_EQ(child, ::waitpid(child, &status, 0));
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    // 0: published, 10: conflict.
    int publish_once(const fs::path& where, const std::string& name, const std::string& content) const
    {
        Region mine(where, "local");
        try {
            mine.publish(manifest_to_publish(name, {1, 0, 0}), {{"/dev/vda", layer(content)}}, key);
            return 0;
        } catch (const Error& error) {
            return exit_code(error.kind());
        }
    }
    // Every image, or those with that name only.
    void expect_whole(const Region& opened, const std::string& name = {}) const
    {
        for (const Image& image : opened.images()) {
            if (!name.empty() && image.name != name) {
                continue;
            }
            const Decision decision = decide(opened, image, trust, test::owner);
            for (const Check& check : decision.checks) {
                EXPECT_TRUE(check.passed) << image.name << ": " << check.name << ": " << check.detail;
            }
        }
    }
};

TEST_F(CrashTest, Attack26OfManyThreadsOneWins)
{
    std::array<int, 6> results{};
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < results.size(); ++i) {
            threads.emplace_back(
                [this, i, &results] { results.at(i) = publish_once(folder, "web", "by " + std::to_string(i)); });
        }
    }
    EXPECT_EQ(1, std::count(results.begin(), results.end(), 0));
    EXPECT_EQ(5, std::count(results.begin(), results.end(), 10));
    EXPECT_EQ(1U, region.images().size());
    expect_whole(region);
}

TEST_F(CrashTest, Attack26OfManyProcessesOneWins)
{
    // In a region that none of them finds made.
    const fs::path fresh = temporary.path() / "regions" / "fresh";
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
        children.push_back(start([&] { return publish_once(fresh, "web", "by " + std::to_string(i)); }));
    }
    std::multiset<int> results;
    for (const pid_t child : children) {
        results.insert(end_of(child));
    }
    EXPECT_EQ((std::multiset<int>{0, 10, 10, 10, 10, 10}), results);
    const Region opened(fresh, "local");
    EXPECT_EQ(1U, opened.images().size());
    expect_whole(opened);
}

TEST_F(CrashTest, DifferentNamesAllGetIn)
{
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
        children.push_back(
            start([&] { return publish_once(folder, "web-" + std::to_string(i), "disk " + std::to_string(i)); }));
    }
    for (const pid_t child : children) {
        EXPECT_EQ(0, end_of(child));
    }
    EXPECT_EQ(8U, region.images().size());
    EXPECT_EQ(16U, index()["manifests"].size());
    expect_whole(region);
}

TEST_F(CrashTest, Attack23AKilledPublisherLeavesTheOldStateOrTheNew)
{
    constexpr int rounds = 40;
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::uniform_int_distribution<int> microseconds(0, 25'000);
    const fs::path where = temporary.path() / "regions" / "killed";
    int killed = 0;
    int interrupted = 0; // killed before its first image was whole
    for (int round = 0; round < rounds; ++round) {
        const std::string name = "round-" + std::to_string(round);
        const pid_t child = start([&] {
            for (unsigned patch = 0; patch < 1000; ++patch) {
                Region mine(where, "local");
                mine.publish(manifest_to_publish(name, {1, 0, patch}),
                             {{"/dev/vda", layer(name + std::to_string(patch) + std::string(20'000, 'x'))}}, key);
            }
            return 0;
        });
        std::this_thread::sleep_for(std::chrono::microseconds(microseconds(random)));
        ::kill(child, SIGKILL);
        killed += end_of(child) == -SIGKILL ? 1 : 0;

        Region opened(where, "local");
        expect_whole(opened, name);
        unsigned next = 0;
        while (opened.find(name, {1, 0, next}, "x86_64")) {
            ++next;
        }
        interrupted += next == 0 ? 1 : 0;
        // What the killed one was at can be published again, with the same content.
        const Image again =
            opened.publish(manifest_to_publish(name, {1, 0, next}),
                           {{"/dev/vda", layer(name + std::to_string(next) + std::string(20'000, 'x'))}}, key);
        EXPECT_NO_THROW(static_cast<void>(verify(opened, again, trust, test::owner)));
        EXPECT_TRUE(fs::is_empty(where / "staging"));
        if (HasFailure()) {
            break;
        }
    }
    expect_whole(Region(where, "local"));
    EXPECT_EQ(rounds, killed);
    RecordProperty("interrupted", interrupted);
}

} // namespace
} // namespace kiln::registry
