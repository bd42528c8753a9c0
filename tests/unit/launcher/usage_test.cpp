// SPDX-License-Identifier: Apache-2.0
#include "launcher/usage/iso_time.h"
#include "launcher/usage/usage.h"

#include "core/files.h"
#include "core/timestamp.h"
#include "launcher/life/last_seen.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;

constexpr const char* id = "i-0123456789abcdef0";

Time at(std::string_view text)
{
    return parse_iso_time(text).value();
}

std::string event(std::string_view time, std::string_view name, const Json& detail = Json::object())
{
    return Json{{"time", time}, {"event", name}, {"detail", detail}}.dump() + "\n";
}

const Json small = {{"type", "t3.small"},
                    {"price_per_hour", "0.0208"},
                    {"tags", {{"team", "web"}}},
                    {"volumes", {{{"device", "/dev/vda"}, {"bytes", 2147483648U}}}}};

// An hour on the first day, another type over midnight, then terminated a day later.
std::string life()
{
    Json large = small;
    large["type"] = "t3.large";
    large["price_per_hour"] = "0.0832";
    return event("2026-11-01T10:00:00Z", "pending", small) + event("2026-11-01T10:00:00Z", "running", small) +
           event("2026-11-01T10:30:00Z", "adopted") + event("2026-11-01T11:00:00Z", "stopped") +
           event("2026-11-01T23:00:00Z", "running", large) + event("2026-11-02T02:00:00Z", "stopped") +
           event("2026-11-03T10:00:00Z", "terminated");
}

const UsageRow& row(const std::vector<UsageRow>& rows, const std::string& key)
{
    const auto found = std::ranges::find(rows, key, &UsageRow::key);
    EXPECT_NE(found, rows.end()) << key;
    return *found;
}

TEST(History, HasRunsVolumesAndTheNewestTags)
{
    const History history =
        read_history(id, life() + event("2026-11-03T11:00:00Z", "tagged", {{"tags", {{"a", "b"}}}}));
    ASSERT_EQ(history.runs.size(), 2U);
    EXPECT_EQ(history.runs[0].end, at("2026-11-01T11:00:00Z"));
    EXPECT_EQ(history.runs[1].type, "t3.large");
    EXPECT_EQ(history.runs[1].price, 83'200);
    EXPECT_EQ(history.volumes, gibibytes(2));
    EXPECT_EQ(history.created, at("2026-11-01T10:00:00Z"));
    EXPECT_EQ(history.terminated, at("2026-11-03T10:00:00Z"));
    EXPECT_EQ(history.tags, (Tags{{"a", "b"}}));
}

TEST(History, Attack30_AnEndThatWasFoundLaterCountsFromWhenItWas)
{
    const History history =
        read_history(id, event("2026-11-01T10:00:00Z", "running", small) +
                             event("2026-11-01T18:00:00Z", "stopped", {{"at", "2026-11-01T10:05:00Z"}}));
    ASSERT_EQ(history.runs.size(), 1U);
    EXPECT_EQ(history.runs[0].end, at("2026-11-01T10:05:00Z"));
}

TEST(History, Attack30_AStartWithoutAnEndEndsAtTheLastThatWasHeard)
{
    const History history =
        read_history(id, event("2026-11-01T10:00:00Z", "running", small) + event("2026-11-01T10:20:00Z", "tagged") +
                             event("2026-11-01T18:00:00Z", "running", small));
    ASSERT_EQ(history.runs.size(), 2U);
    EXPECT_EQ(history.runs[0].end, at("2026-11-01T10:20:00Z"));
    EXPECT_FALSE(history.runs[1].end);
}

TEST(History, Attack30_GarbageIsPassedOver)
{
    const std::string garbage = "{\"time\":\"20\nnull\n[]\n{\"time\":1,\"event\":\"running\"}\n\x01\xff\n" +
                                event("tomorrow", "running", small) + event("2026-11-01T10:00:00Z", "flown") +
                                R"({"time":"2026-11-01T10:00:00Z","event":"running","detail":[1]})" + "\n";
    EXPECT_TRUE(read_history(id, garbage).runs.empty());
    EXPECT_EQ(read_history(id, garbage + life() + garbage).runs.size(), 2U);
    const Json odd = {{"type", 7}, {"price_per_hour", "free"}, {"tags", {1}}, {"volumes", {1, {{"bytes", "x"}}}}};
    EXPECT_EQ(read_history(id, event("2026-11-01T10:00:00Z", "running", odd)).runs.at(0).price, 0);
}

TEST(Usage, IsPerSecondAtThePriceOfTheType)
{
    const auto rows = add_up({read_history(id, life())}, "type", {}, at("2026-12-01T00:00:00Z"));
    EXPECT_EQ(row(rows, "t3.small").cost_text(), "0.020800");
    EXPECT_EQ(row(rows, "t3.large").seconds, 3 * 3600);
    EXPECT_EQ(row(rows, "t3.large").cost_text(), "0.249600");
    EXPECT_EQ(row(rows, "(volumes)").gib_hours_text(), "96.000"); // 2 GiB for 48 h, running or not
}

TEST(Usage, EachStartCostsAMinuteAtLeast)
{
    const History history = read_history(
        id, event("2026-11-01T10:00:00Z", "running", small) + event("2026-11-01T10:00:07Z", "stopped") +
                event("2026-11-01T10:00:10Z", "running", small) + event("2026-11-01T10:01:11Z", "stopped"));
    const UsageRow one = add_up({history}, "instance", {}, at("2026-11-01T12:00:00Z")).at(0);
    EXPECT_EQ(one.starts, 2U);
    EXPECT_EQ(one.seconds, 60 + 61);
}

TEST(Usage, DaysAddUpToTheWhole)
{
    const History history = read_history(id, life());
    const auto days = add_up({history}, "day", {}, at("2026-12-01T00:00:00Z"));
    ASSERT_EQ(days.size(), 3U);
    EXPECT_EQ(days[0].key, "2026-11-01");
    EXPECT_EQ(days[0].starts, 2U);
    EXPECT_EQ(days[0].seconds, 2 * 3600);
    EXPECT_EQ(days[1].seconds, 2 * 3600);
    EXPECT_EQ(days[1].starts, 0U);
    EXPECT_EQ(days[2].seconds, 0);
    EXPECT_EQ(days[2].gib_hours_text(), "20.000");
    UsageRow sum;
    for (const UsageRow& day : days) {
        sum.add(day);
    }
    const UsageRow whole = add_up({history}, "instance", {}, at("2026-12-01T00:00:00Z")).at(0);
    EXPECT_EQ(sum.cost, whole.cost);
    EXPECT_EQ(sum.mib_seconds, whole.mib_seconds);
}

TEST(Usage, AWindowTakesItsPart)
{
    const Window window{at("2026-11-01T10:45:00Z"), at("2026-11-02T01:00:00Z")};
    const UsageRow one = add_up({read_history(id, life())}, "instance", window, at("2026-12-01T00:00:00Z")).at(0);
    EXPECT_EQ(one.starts, 1U); // the other one was before
    EXPECT_EQ(one.seconds, 15 * 60 + 2 * 3600);
    EXPECT_TRUE(add_up({read_history(id, life())}, "instance", {at("2027-01-01T00:00:00Z")}, at("2027-02-01T00:00:00Z"))
                    .empty());
}

TEST(Usage, TagsAndNoTags)
{
    const auto rows = add_up({read_history(id, life()), read_history("i-1", event("2026-11-01T10:00:00Z", "running"))},
                             "tag:team", {}, at("2026-11-01T10:00:00Z"));
    EXPECT_EQ(row(rows, "web").starts, 2U);
    EXPECT_EQ(row(rows, "(none)").seconds, 60);
}

TEST(Usage, Attack30_WhatRanWhenTheHostDiedEndsWhereItWasLastSeen)
{
    const test::TemporaryFolder home;
    const Paths paths = paths_in(home.path());
    const InstancePaths files(paths, id);
    fs::create_directories(files.folder);
    Instance instance = small_instance(files);
    instance.boot_id = host_boot_id();
    save_record(files, instance);
    const Time started =
        std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) - std::chrono::hours(2);
    write_file_durably(files.events, event(iso_time(started), "running", small));
    const auto touched = std::chrono::system_clock::to_time_t(started + std::chrono::minutes(90));
    const timespec times[2] = {{touched, 0}, {touched, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, files.events.c_str(), times, 0), 0);

    const auto histories = load_histories(paths, std::chrono::system_clock::now());
    ASSERT_EQ(histories.size(), 1U);
    EXPECT_EQ(histories[0].runs.at(0).end, started + std::chrono::minutes(90));
    EXPECT_THAT(read_file(files.events), testing::Not(testing::HasSubstr("stopped"))); // only looked at

    // Never after the boot that ended it.
    instance.boot_id = "of another boot";
    EXPECT_LE(last_seen(files, instance), std::max(host_boot_time(), started + std::chrono::minutes(90)));
}

} // namespace
} // namespace kiln::launcher
