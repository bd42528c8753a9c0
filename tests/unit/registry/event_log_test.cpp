// SPDX-License-Identifier: Apache-2.0
// Catalogues that are older than what was seen, pieced together from several, or edited.
#include "signing/event.h"
#include "tests/unit/registry/region_fixture.h"

#include <chrono>
#include <sys/wait.h>
#include <unistd.h>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using test::error_of;
using ::testing::HasSubstr;

class EventLogTest : public test::RegionTest
{
protected:
    const std::string stranger = "999999999999";
    Image image = publish("web", {1, 0, 0});
    Image other = publish("database", {1, 0, 0});
    const fs::path catalogue = folder / "catalogue.sqlite";

    void keep(const std::string& name) const
    {
        fs::copy_file(catalogue, temporary.path() / name, fs::copy_options::overwrite_existing);
    }
    void restore(const std::string& name) const
    {
        fs::copy_file(temporary.path() / name, catalogue, fs::copy_options::overwrite_existing);
        // SQLite tells by a counter whether another process wrote: one that is put back and written to again can have
        // the number that the open region knows.
        static_cast<void>(region.images());
    }
    std::string stored_envelope(std::int64_t number) const
    {
        sqlite3* database = nullptr;
        EXPECT_EQ(SQLITE_OK, sqlite3_open(catalogue.c_str(), &database));
        std::string envelope;
        const auto take = [](void* to, int, char** values, char**) {
            *static_cast<std::string*>(to) = values[0];
            return 0;
        };
        const std::string query = "SELECT envelope FROM events WHERE number = " + std::to_string(number);
        EXPECT_EQ(SQLITE_OK, sqlite3_exec(database, query.c_str(), take, &envelope, nullptr));
        sqlite3_close(database);
        return envelope;
    }
    signing::ReadEvent stored_event(std::int64_t number) const
    {
        return signing::read_event(stored_envelope(number), signing::no_keys);
    }
    // As the first process of a home that never saw the region.
    Error verdict_of_a_new_home(const Image& of) const
    {
        const Region opened(folder, "local", temporary.path() / (random_hex(8) + ".seen"));
        return error_of([&] {
            static_cast<void>(verify(opened, of, trust, test::owner));
            throw Error(ErrorKind::internal, "verified");
        });
    }
    void expect_untrusted(const Error& error, const std::string& part) const
    {
        EXPECT_EQ(ErrorKind::untrusted, error.kind()) << error.what();
        EXPECT_THAT(error.message(), HasSubstr(part));
        EXPECT_FALSE(error.hint().empty());
    }
};

TEST_F(EventLogTest, Attack16_ACatalogueThatWasRolledBackIsRefusedAndTheNewestSeenIsKept)
{
    change(image, share_with({.accounts = {stranger}}));
    EXPECT_EQ("verified", verdict(image, stranger).message());
    keep("older");
    change(image, unshare_with({.accounts = {stranger}}));
    keep("newest");
    restore("older");
    const std::string part =
        "events: the catalogue of region local was refused: it ends at event 3, and this home has seen event 4: it was "
        "rolled back to an older state";
    for (int time = 0; time < 2; ++time) { // it is no better the second time
        expect_untrusted(verdict(image, stranger), part);
        expect_untrusted(verdict(other), part); // also an image that nothing happened to
    }
    EXPECT_THAT(verdict(image).hint(), HasSubstr("`kiln registry forget local`"));
    // Nor is anything built upon it.
    expect_untrusted(error_of([&] { change(image, disable()); }), "rolled back");
    expect_untrusted(error_of([&] { publish("more", {1, 0, 0}); }), "rolled back");
    expect_untrusted(error_of([&] { static_cast<void>(region.resolve("web@stable", trust)); }), "rolled back");
    restore("newest");
    EXPECT_EQ(ErrorKind::permission_denied, verdict(image, stranger).kind());
    EXPECT_EQ("verified", verdict(other).message());
}

TEST_F(EventLogTest, Attack16_WhoAcceptsTheOlderStateSaysSo)
{
    keep("older");
    change(image, disable());
    restore("older");
    expect_untrusted(verdict(image), "rolled back");
    region.forget_seen();
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(EventLogTest, Attack16_AnotherFutureOfAnOlderStateIsRefused)
{
    keep("older");
    change(image, disable());
    keep("newest");
    restore("older");
    {
        // Who never saw the newer state changes the older one.
        Region elsewhere(folder, "local", temporary.path() / "elsewhere.seen");
        elsewhere.change(image, share_with({.everyone = true}), {.account = test::owner, .key = key}, trust);
        elsewhere.change(image, share_with({.accounts = {stranger}}), {.account = test::owner, .key = key}, trust);
    }
    expect_untrusted(verdict(image), "its event 3 is another one than this home has seen");
    restore("newest");
    EXPECT_EQ(ErrorKind::permission_denied, verdict(image).kind());
}

TEST_F(EventLogTest, Attack17_ARowThatNoEventExplainsIsRefused)
{
    const std::vector<std::pair<std::string, std::string>> changes{
        {"state = 'disabled'", "state disabled instead of available"},
        {"launch_public = 1", "launch permission public instead of private"},
        {"launch_accounts = '999999999999'", "accounts 999999999999 instead of "},
        {"deprecated_at = '2020-01-01T00:00:00Z'", "deprecation 2020-01-01T00:00:00Z instead of never"},
        {"holder = '999999999999'", "holder 999999999999 instead of 123456789012"},
        {"last_event = 7", "last event 7 instead of 1"},
        {"last_event = 0", "last event 0 instead of 1"},
    };
    for (const auto& [change, part] : changes) {
        keep("true");
        sql("UPDATE images SET " + change + " WHERE id = '" + image.id + "'");
        expect_untrusted(verdict(image, stranger), "events: no signed event explains what the catalogue has: " + part);
        EXPECT_EQ("verified", verdict(other).message());
        restore("true");
    }
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(EventLogTest, Attack17_AnImagesOlderStateInANewerCatalogueIsRefused)
{
    keep("shared later");
    change(image, share_with({.accounts = {stranger}}));
    change(image, unshare_with({.accounts = {stranger}}));
    change(other, share_with({.everyone = true}));
    EXPECT_EQ("verified", verdict(other).message());
    keep("true");
    // The row and the events of one image as they were, all others as they are.
    sql("DELETE FROM events WHERE number = 4; UPDATE images SET launch_accounts = '999999999999', last_event = 3 "
        "WHERE id = '" +
        image.id + "'");
    expect_untrusted(verdict(image, stranger), "event 4 of " + image.id + ", which this home has seen, is not there");
    expect_untrusted(verdict_of_a_new_home(image), "its event 4 is missing");
    restore("true");
    // One in the middle.
    sql("DELETE FROM events WHERE number = 3");
    expect_untrusted(verdict(image), "event 4 of " + image.id + " does not follow from the one before");
    expect_untrusted(verdict_of_a_new_home(other), "its event 3 is missing");
    restore("true");
    // A genuine event of another image.
    sql("UPDATE events SET image = '" + image.id + "' WHERE number = 5");
    expect_untrusted(verdict(image), "event 5 of " + image.id + " does not follow from the one before");
    expect_untrusted(verdict_of_a_new_home(other), "its event 5 does not follow from the events of ");
    restore("true");
    EXPECT_EQ("verified", verdict(image).message());
}

TEST_F(EventLogTest, Attack17_AnEventUnderAnotherNumberIsRefused)
{
    change(image, share_with({.everyone = true}));
    keep("true");
    sql("UPDATE events SET number = 7 WHERE number = 3");
    expect_untrusted(verdict(image), "it ends at event 7, and this home has seen event 3");
    expect_untrusted(verdict_of_a_new_home(other), "its event 3 is missing");
}

TEST_F(EventLogTest, AnEventThatNobodyTrustedSignedChangesNothing)
{
    const signing::ReadEvent last = stored_event(2);
    const auto forged = [&](const std::string& account) {
        return signing::sign_event({.region = "local",
                                    .number = 3,
                                    .previous = last.digest,
                                    .image_previous = stored_event(1).digest,
                                    .time = "2026-11-26T00:00:00Z",
                                    .account = account,
                                    .image = image.id,
                                    .manifest = image.manifest,
                                    .action = "share",
                                    .arguments = {{"public", true}, {"accounts", Json::array()}}},
                                   signing::SecretKey::generate());
    };
    for (const std::string& account : {std::string(test::owner), stranger}) {
        keep("true");
        sql("INSERT INTO events VALUES (3, '" + image.id + "', '" + forged(account) +
            "'); UPDATE images SET launch_public = 1, last_event = 3 WHERE id = '" + image.id + "'");
        expect_untrusted(verdict(image, stranger),
                         "event 3 of " + image.id + " is not signed by a key that is trusted for account " + account);
        EXPECT_EQ("verified", verdict(other).message());
        restore("true"); // and the true catalogue is not older than what was seen
        EXPECT_EQ("verified", verdict(image).message());
    }
}

TEST_F(EventLogTest, ATrustedAccountCannotChangeWhatAnotherHolds)
{
    const signing::SecretKey strange_key = signing::SecretKey::generate();
    trust.trust(stranger, strange_key.public_key());
    const std::string envelope = signing::sign_event({.region = "local",
                                                      .number = 3,
                                                      .previous = stored_event(2).digest,
                                                      .image_previous = stored_event(1).digest,
                                                      .time = "2026-11-26T00:00:00Z",
                                                      .account = stranger,
                                                      .image = image.id,
                                                      .manifest = image.manifest,
                                                      .action = "share",
                                                      .arguments = {{"public", true}, {"accounts", Json::array()}}},
                                                     strange_key);
    sql("INSERT INTO events VALUES (3, '" + image.id + "', '" + envelope +
        "'); UPDATE images SET launch_public = 1, last_event = 3 WHERE id = '" + image.id + "'");
    expect_untrusted(verdict(image, stranger),
                     "event 3: account 999999999999 signed it, and only account 123456789012 may change the image");
}

TEST_F(EventLogTest, AnIdIsBoundToItsImage)
{
    // Two images of one account change ids.
    sql("UPDATE images SET id = 'ami-00000000000000000' WHERE name = 'web'");
    sql("UPDATE images SET id = '" + image.id + "' WHERE name = 'database'");
    expect_untrusted(verdict(region.resolve(image.id)), "event 1: it is about another image");
}

TEST_F(EventLogTest, AnActionOfANewerKilnIsSaid)
{
    const std::string envelope = signing::sign_event({.region = "local",
                                                      .number = 3,
                                                      .previous = stored_event(2).digest,
                                                      .image_previous = stored_event(1).digest,
                                                      .time = "2026-11-26T00:00:00Z",
                                                      .account = test::owner,
                                                      .image = image.id,
                                                      .manifest = image.manifest,
                                                      .action = "embargo",
                                                      .arguments = Json::object()},
                                                     key);
    sql("INSERT INTO events VALUES (3, '" + image.id + "', '" + envelope + "')");
    expect_untrusted(verdict(image), "event 3: this version of Kiln does not know the action \"embargo\"");
    EXPECT_EQ("install a newer Kiln", verdict(image).hint());
}

TEST_F(EventLogTest, AnEventOfAnotherRegionIsRefused)
{
    const Region renamed(folder, "other", temporary.path() / "other.seen");
    const Error error = error_of([&] { static_cast<void>(verify(renamed, image, trust, test::owner)); });
    expect_untrusted(error, "its event 1 is one of the region local");
}

TEST_F(EventLogTest, AChannelCannotBeTurnedBack)
{
    const Image next = publish("web", {2, 0, 0});
    change(image, take_channel("web", "stable"));
    change(next, take_channel("web", "stable"));
    keep("true");
    EXPECT_EQ("2.0.0", region.resolve("web@stable", trust).version.to_string());
    sql("UPDATE channels SET image = '" + image.id + "', event = 4");
    expect_untrusted(error_of([&] { static_cast<void>(region.resolve("web@stable", trust)); }),
                     "the channel stable of web is older than this home has seen");
    sql("UPDATE channels SET event = 5");
    expect_untrusted(error_of([&] { static_cast<void>(region.resolve("web@stable", trust)); }),
                     "no signed event explains that the channel stable of web names");
    restore("true");
    EXPECT_EQ("2.0.0", region.resolve("web@stable", trust).version.to_string());
}

TEST_F(EventLogTest, Attack28_AnEmptiedCatalogueIsNotTakenForANewRegion)
{
    sql("DELETE FROM images; DELETE FROM events");
    expect_untrusted(error_of([&] {
                         publish("web", {3, 0, 0});
                     }),
                     "it ends at event 0, and this home has seen event 2: it was rolled back");
}

TEST_F(EventLogTest, AnImageOfAnOlderKilnIsWhatItsManifestSays)
{
    // As a migrated catalogue has it: no event, and a home that never saw one.
    sql("DELETE FROM events; UPDATE images SET last_event = 0");
    region.forget_seen();
    EXPECT_EQ("verified", verdict(image).message());
    sql("UPDATE images SET launch_public = 1");
    expect_untrusted(verdict(image, stranger), "launch permission public instead of private");
    sql("UPDATE images SET launch_public = 0");
    image = change(image, share_with({.accounts = {stranger}}));
    EXPECT_EQ(1, image.last_event);
    EXPECT_EQ("verified", verdict(image, stranger).message());
}

TEST_F(EventLogTest, ADamagedMemoryIsSaid)
{
    const fs::path file = temporary.path() / "damaged.seen";
    overwrite(file, std::string(4096, 'x'));
    EXPECT_EQ(ErrorKind::io, error_of([&] { const Region opened(folder, "local", file); }).kind());
}

TEST_F(EventLogTest, Attack23_AKilledChangeIsMadeOrNot)
{
    constexpr int rounds = 30;
    for (int round = 0; round < rounds; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            try {
                Region mine(folder, "local");
                for (bool on = true;; on = !on) {
                    const Change what =
                        on ? share_with({.accounts = {stranger}}) : unshare_with({.accounts = {stranger}});
                    mine.change(image, what, {.account = test::owner, .key = key}, trust);
                }
            } catch (...) {
                ::_exit(1);
            }
        }
        ::usleep(static_cast<useconds_t>(1000 + round * 1700));
        ::kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(child, ::waitpid(child, &status, 0));
        ASSERT_TRUE(WIFSIGNALED(status));
        const Region opened(folder, "local");
        for (const Check& check : decide(opened, image, trust, test::owner).checks) {
            ASSERT_TRUE(check.passed) << check.name << ": " << check.detail;
        }
    }
    EXPECT_EQ("verified", verdict_of_a_new_home(image).message());
}

TEST_F(EventLogTest, ManyProcessesChangeAtOnce)
{
    std::vector<pid_t> children;
    for (int i = 0; i < 6; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            try {
                Region mine(folder, "local");
                mine.change(i % 2 == 0 ? image : other, share_with({.accounts = {std::to_string(100000000000 + i)}}),
                            {.account = test::owner, .key = key}, trust);
                static_cast<void>(verify(mine, image, trust, test::owner));
                ::_exit(0);
            } catch (...) {
                ::_exit(1);
            }
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        EXPECT_EQ(child, ::waitpid(child, &status, 0));
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    EXPECT_EQ(3U, region.resolve(image.id).launch_accounts.size());
    EXPECT_EQ(3U, region.resolve(other.id).launch_accounts.size());
    EXPECT_EQ("verified", verdict_of_a_new_home(image).message());
}

// The look at one image costs the same in a region of many events.
TEST_F(EventLogTest, ALookDoesNotGrowWithTheRegion)
{
    const auto milliseconds = [&] {
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < 20; ++i) {
            static_cast<void>(region.explained(image, region.load_manifest(image), trust));
        }
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    };
    static_cast<void>(milliseconds());
    const double few = milliseconds();
    // 5,000 events of other images behind what was seen; one transaction, as the disk is not what is measured.
    std::string batch = "BEGIN;";
    std::optional<Digest> previous = stored_event(2).digest;
    for (int number = 3; number < 5003; ++number) {
        const std::string id = random_resource_id("ami-");
        const signing::Event event{.region = "local",
                                   .number = number,
                                   .previous = previous,
                                   .image_previous = std::nullopt,
                                   .time = "2026-11-26T00:00:00Z",
                                   .account = test::owner,
                                   .image = id,
                                   .manifest = image.manifest,
                                   .action = "publish",
                                   .arguments = Json::object()};
        previous = digest_of(signing::event_payload(event));
        batch += "INSERT INTO events VALUES (" + std::to_string(number) + ", '" + id + "', '" +
                 signing::sign_event(event, key) + "');";
    }
    sql(batch + "COMMIT;");
    static_cast<void>(milliseconds()); // sees them
    const double many = milliseconds();
    RecordProperty("few_ms", std::to_string(few));
    RecordProperty("many_ms", std::to_string(many));
    EXPECT_LT(many, few * 3 + 20);
}

} // namespace
} // namespace kiln::registry
