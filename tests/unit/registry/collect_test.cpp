// SPDX-License-Identifier: Apache-2.0
// What a collection removes, what it never does, and when it refuses.
#include "registry/upkeep/collect.h"

#include "registry/upkeep/check.h"
#include "tests/unit/registry/region_fixture.h"

#include <atomic>
#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace kiln::registry
{
namespace
{
namespace fs = std::filesystem;
using test::error_of;
using test::manifest_to_publish;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CollectTest : public test::RegionTest
{
protected:
    Collected collect(bool dry_run = false) { return region.collect({.trust = trust, .dry_run = dry_run}); }
    Digest layer_of(const Image& image) const { return region.load_manifest(image).block_devices[0].layers[0].digest; }
    bool has(const Digest& digest) const { return fs::exists(region.layout().blob_path(digest)); }
    // What a publisher that was killed before its row leaves.
    Digest orphan(const std::string& content) const
    {
        return region.layout().put_file(layer(content), bundle::disk_layer_type).digest;
    }
    bundle::Manifest child_of(const Image& parent) const
    {
        bundle::Manifest manifest = region.load_manifest(parent);
        manifest.name = "child";
        manifest.parent = bundle::Parent{parent.name, parent.version, parent.manifest};
        return manifest;
    }
};

TEST_F(CollectTest, LeavesAWholeRegionAlone)
{
    const Image image = region.publish(manifest_to_publish("web", {1, 0, 0}), {{"/dev/vda", layer("disk")}}, key,
                                       {{std::string(bundle::sbom_artifact_type), "{}"}});
    region.publish_component({"nginx", {1, 0, 0}, test::owner, "name = \"nginx\"\n"}, key);
    const std::size_t before = blobs().size();
    const Json index_before = index();
    const Collected collected = collect();
    EXPECT_THAT(collected.blobs, IsEmpty());
    EXPECT_THAT(collected.leftovers, IsEmpty());
    EXPECT_EQ(before, collected.kept);
    EXPECT_EQ(before, blobs().size());
    EXPECT_EQ(index_before, index());
    EXPECT_NO_THROW(static_cast<void>(verify(region, image, trust, test::owner)));
    EXPECT_EQ("name = \"nginx\"\n", region.component_text(region.components().front(), trust));
    EXPECT_FALSE(fs::exists(folder / "audit.jsonl")); // nothing was done
}

TEST_F(CollectTest, RemovesWhatAKilledPublisherLeftAndTellsBefore)
{
    publish("web", {1, 0, 0});
    const Digest lost = orphan("lost");
    std::ofstream(folder / "staging" / "half") << "half";
    std::ofstream(folder / "index.json.0123456789abcdef.tmp") << "half";
    fs::create_directories(folder / "imports" / "import-dead" / "layout");
    const Collected planned = collect(true);
    EXPECT_TRUE(has(lost));
    EXPECT_TRUE(fs::exists(folder / "staging" / "half"));
    const Collected done = collect();
    ASSERT_EQ(1U, done.blobs.size());
    EXPECT_EQ(lost, done.blobs[0].digest);
    EXPECT_EQ(done.blobs[0].size, done.freed);
    EXPECT_EQ(planned.blobs.size(), done.blobs.size());
    EXPECT_EQ((std::vector<std::string>{"imports/import-dead", "index.json.0123456789abcdef.tmp", "staging/half"}),
              done.leftovers);
    EXPECT_FALSE(has(lost));
    EXPECT_THAT(collect().leftovers, IsEmpty());
    const auto log = region.audit_log(trust);
    ASSERT_EQ(2U, log.size());
    EXPECT_EQ("publish", log[0].action);
    EXPECT_TRUE(log[0].verified);
    EXPECT_EQ("collect", log[1].action);
    EXPECT_FALSE(log[1].number);
    EXPECT_EQ(lost.to_string(), log[1].details["digests"][0]);
}

TEST_F(CollectTest, OfPartsOfPullsOnlyThoseThatNobodyGoesOnWithGo)
{
    publish("web", {1, 0, 0});
    const fs::path partial = folder / "partial";
    fs::create_directories(partial);
    for (const std::string name : {"old", "young", "in use"}) {
        std::ofstream(partial / name) << name;
    }
    const auto last_week = fs::file_time_type::clock::now() - std::chrono::hours(24 * 8);
    fs::last_write_time(partial / "old", last_week);
    fs::last_write_time(partial / "in use", last_week);
    const FileLock pull(partial / "in use", FileLock::Wait::block);
    EXPECT_EQ(std::vector<std::string>{"partial/old"}, collect(true).leftovers);
    EXPECT_TRUE(fs::exists(partial / "old"));
    EXPECT_EQ(std::vector<std::string>{"partial/old"}, collect().leftovers);
    EXPECT_FALSE(fs::exists(partial / "old"));
    EXPECT_TRUE(fs::exists(partial / "young"));
    EXPECT_TRUE(fs::exists(partial / "in use"));
    EXPECT_THAT(collect().leftovers, IsEmpty());
}

TEST_F(CollectTest, OfADeregisteredImageJustItsHistoryStays)
{
    const Image image = publish("web", {1, 0, 0});
    const Image other = publish("web", {1, 1, 0});
    const Digest disk = layer_of(image);
    change(image, deregister());
    const Collected collected = collect();
    EXPECT_FALSE(has(disk));
    EXPECT_TRUE(has(layer_of(other)));
    EXPECT_EQ(2U, collected.index_entries.size()); // the image and its signature
    EXPECT_EQ(2U, index()["manifests"].size());
    const auto gone = region.find_id(image.id);
    ASSERT_TRUE(gone);
    EXPECT_EQ("deregister", region.history(*gone, trust).back().action);
    EXPECT_NO_THROW(static_cast<void>(verify(region, other, trust, test::owner)));
}

TEST_F(CollectTest, NeverTakesWhatAnInstanceUses)
{
    const Image image = publish("web", {1, 0, 0});
    publish("web", {1, 1, 0});
    const Digest disk = layer_of(image);
    change(image, deregister());
    const auto collect_with = [&](std::vector<Digest> used) {
        return region.collect({.trust = trust, .layers_in_use = [used = std::move(used)] { return used; }});
    };
    EXPECT_EQ(1U, collect_with({disk}).leased);
    EXPECT_TRUE(has(disk));
    collect_with({});
    EXPECT_FALSE(has(disk));
    // A list that can't be made ends it.
    orphan("lost");
    EXPECT_EQ(ErrorKind::io, error_of([&] {
                                 region.collect({.trust = trust, .layers_in_use = []() -> std::vector<Digest> {
                                                     throw Error(ErrorKind::io, "no list");
                                                 }});
                             }).kind());
    EXPECT_EQ(1U, collect(true).blobs.size());
}

TEST_F(CollectTest, KeepsASignatureThatTheIndexLost)
{
    const Image image = publish("web", {1, 0, 0});
    Json less = index();
    std::erase_if(less["manifests"].get_ref<Json::array_t&>(),
                  [](const Json& entry) { return entry["artifactType"] == bundle::signature_artifact_type; });
    set_index(less);
    EXPECT_THAT(collect().blobs, IsEmpty());
    EXPECT_NO_THROW(region.check({.trust = trust, .repair = true}));
    EXPECT_NO_THROW(static_cast<void>(verify(region, image, trust, test::owner)));
}

TEST_F(CollectTest, KeepsWhatAnotherToolPutThere)
{
    publish("web", {1, 0, 0});
    const auto config = region.layout().put("{}", "application/vnd.oci.image.config.v1+json");
    const auto foreign = region.layout().put(
        Json({{"schemaVersion", 2},
              {"config", {{"mediaType", config.media_type}, {"digest", config.digest.to_string()}, {"size", 2}}},
              {"layers", {{{"digest", orphan("foreign").to_string()}}}}})
            .dump(),
        bundle::oci_manifest_type);
    region.layout().add_to_index(foreign, "application/vnd.example", Json::object());
    EXPECT_THAT(collect().blobs, IsEmpty());
}

// The blob was there already, and the publisher relies on it.
TEST_F(CollectTest, Attack27_ABlobThatAPublisherReliesOnStays)
{
    const Image parent = publish("web", {1, 0, 0});
    publish("other", {1, 0, 0});
    const Digest disk = layer_of(parent);
    const bundle::Manifest child = child_of(parent);
    {
        const Lease lease = region.lease({parent.manifest}); // as a build has it
        change(parent, deregister());
        EXPECT_EQ(0U, collect().blobs.size());
        ASSERT_TRUE(has(disk));
        region.publish(child, {{"/dev/vda", layer("difference")}}, key);
    }
    collect();
    EXPECT_TRUE(has(disk)); // the child's now
    EXPECT_NO_THROW(static_cast<void>(verify(region, region.resolve("child"), trust, test::owner)));
    // Without a lease the publisher is told, and nothing is published.
    const Image again = publish("web", {2, 0, 0});
    bundle::Manifest late = child_of(again);
    late.name = "late";
    change(again, deregister());
    collect();
    EXPECT_EQ(ErrorKind::not_found, error_of([&] {
                                        region.publish(late, {{"/dev/vda", layer("difference")}}, key);
                                    }).kind());
}

TEST_F(CollectTest, Attack27_AProofKeepsItsBlobs)
{
    const Image image = publish("web", {1, 0, 0});
    publish("other", {1, 0, 0});
    const Digest disk = layer_of(image);
    {
        const VerifiedImage verified = verify(region, image, trust, test::owner);
        change(image, deregister());
        collect();
        EXPECT_TRUE(fs::exists(verified.layer_paths(verified.manifest().block_devices[0])[0]));
        Region other(temporary.path() / "regions" / "eu-west", "eu-west");
        EXPECT_NO_THROW(other.copy_from(region, verified, {.account = test::owner, .key = key}));
    }
    EXPECT_TRUE(fs::is_empty(folder / "leases"));
    collect();
    EXPECT_FALSE(has(disk));
}

// Publishers, collectors and readers, all at once; every publisher's layer is one that a killed one had left there.
TEST_F(CollectTest, Attack27_NoLiveBlobIsDeletedWhereManyPublishAndCollect)
{
    constexpr int publishers = 3;
    constexpr unsigned versions = 6;
    publish("first", {1, 0, 0});
    std::vector<pid_t> children;
    const auto start = [&](const std::function<void()>& action) {
        const pid_t child = ::fork();
        if (child == 0) {
            try {
                action();
                ::_exit(0);
            } catch (const std::exception& error) {
                static_cast<void>(!::write(STDERR_FILENO, error.what(), std::string_view(error.what()).size()));
                ::_exit(1);
            }
        }
        children.push_back(child);
    };
    for (int i = 0; i < publishers; ++i) {
        start([&, i] {
            Region mine(folder, "local");
            for (unsigned patch = 0; patch < versions; ++patch) {
                const std::string content = "disk " + std::to_string(i) + "." + std::to_string(patch);
                static_cast<void>(mine.layout().put_file(layer(content), bundle::disk_layer_type));
                const Image image = mine.publish(manifest_to_publish("web-" + std::to_string(i), {1, 0, patch}),
                                                 {{"/dev/vda", layer(content)}}, key);
                static_cast<void>(verify(mine, image, trust, test::owner));
            }
        });
    }
    for (int i = 0; i < 2; ++i) {
        start([&] {
            Region mine(folder, "local");
            for (int round = 0; round < 12; ++round) {
                mine.collect({.trust = trust});
                static_cast<void>(mine.images());
            }
        });
    }
    for (const pid_t child : children) {
        int status = 0;
        ASSERT_EQ(child, ::waitpid(child, &status, 0));
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    }
    collect();
    EXPECT_EQ(1U + publishers * versions, region.images().size());
    const CheckReport report = region.check({.trust = trust});
    EXPECT_THAT(report.damages, IsEmpty());
    EXPECT_EQ(0U, report.garbage);
}

TEST_F(CollectTest, Attack28_ALostOrEmptiedCatalogueRemovesNothing)
{
    publish("web", {1, 0, 0});
    const std::size_t before = blobs().size();
    const auto refused = [&](ErrorKind kind, const std::string& message) {
        const Error error = error_of([&] { collect(); });
        EXPECT_EQ(kind, error.kind()) << error.what();
        EXPECT_THAT(error.what(), HasSubstr(message));
        EXPECT_EQ(before, blobs().size());
    };
    const fs::path saved = temporary.path() / "saved";
    fs::copy_file(folder / "catalogue.sqlite", saved);
    sql("DELETE FROM images");
    refused(ErrorKind::damaged, "which the catalogue has no row of");
    sql("DELETE FROM events");
    refused(ErrorKind::untrusted, "it was rolled back to an older state");
    region.forget_seen(); // a home that never saw it
    refused(ErrorKind::damaged, "the catalogue names no image, and there are");
    fs::copy_file(saved, folder / "catalogue.sqlite", fs::copy_options::overwrite_existing);
    EXPECT_THAT(collect().blobs, IsEmpty());
}

TEST_F(CollectTest, Attack28_ARowThatHidesAnImageRemovesNothing)
{
    const Image image = publish("web", {1, 0, 0});
    publish("other", {1, 0, 0});
    sql("UPDATE images SET state = 'deregistered' WHERE name = 'web'"); // and no event says so
    EXPECT_THAT(collect().blobs, IsEmpty());
    sql("UPDATE images SET manifest = 'sha256:" + std::string(64, '0') + "' WHERE name = 'web'");
    const Error error = error_of([&] { collect(); });
    EXPECT_EQ(ErrorKind::damaged, error.kind());
    EXPECT_THAT(error.what(), HasSubstr("another manifest of"));
    EXPECT_TRUE(has(image.manifest));
}

TEST_F(CollectTest, Attack28_AnUnreadableCatalogueIndexOrManifestRemovesNothing)
{
    const Image image = publish("web", {1, 0, 0});
    const Digest lost = orphan("lost");
    const Json whole = index();
    Json empty = whole;
    empty["manifests"] = Json::array();
    set_index(empty);
    EXPECT_THAT(error_of([&] { collect(); }).what(), HasSubstr("index.json lacks web 1.0.0"));
    overwrite(folder / "index.json", "{");
    EXPECT_EQ(ErrorKind::io, error_of([&] { collect(); }).kind());
    set_index(whole);
    const std::string manifest = read_file(region.layout().blob_path(image.manifest));
    overwrite(region.layout().blob_path(image.manifest), manifest + " ");
    EXPECT_EQ(ErrorKind::damaged, error_of([&] { collect(); }).kind());
    overwrite(region.layout().blob_path(image.manifest), manifest);
    EXPECT_TRUE(has(lost));
    overwrite(folder / "catalogue.sqlite", std::string(8192, 'x'));
    EXPECT_EQ(ErrorKind::io, error_of([&] { Region(folder, "local"); }).kind());
}

TEST_F(CollectTest, Attack29_ALeaseOfADeadHolderIsReclaimedALivingOnesNever)
{
    const Image image = publish("web", {1, 0, 0});
    publish("other", {1, 0, 0});
    const Digest disk = layer_of(image);
    int ready[2];
    ASSERT_EQ(0, ::pipe(ready));
    const pid_t holder = ::fork();
    if (holder == 0) {
        const Region mine(folder, "local");
        const Lease lease = mine.lease({image.manifest});
        static_cast<void>(!::write(ready[1], "x", 1));
        for (;;) {
            ::pause();
        }
    }
    char byte = 0;
    ASSERT_EQ(1, ::read(ready[0], &byte, 1));
    change(image, deregister());
    for (int i = 0; i < 3; ++i) {
        collect();
    }
    EXPECT_TRUE(has(disk));
    ::kill(holder, SIGKILL);
    ::waitpid(holder, nullptr, 0);
    EXPECT_FALSE(fs::is_empty(folder / "leases")); // its file is left
    const Collected collected = collect();
    EXPECT_FALSE(has(disk));
    EXPECT_EQ(1U, collected.leftovers.size());
    EXPECT_TRUE(fs::is_empty(folder / "leases"));
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_F(CollectTest, Attack29_TheRegionsLockOfADeadHolderIsFreeALivingOnesIsWaitedFor)
{
    int ready[2];
    ASSERT_EQ(0, ::pipe(ready));
    const pid_t holder = ::fork();
    if (holder == 0) {
        const FileLock lock(folder / "lock", FileLock::Wait::block);
        static_cast<void>(!::write(ready[1], "x", 1));
        for (;;) {
            ::pause();
        }
    }
    char byte = 0;
    ASSERT_EQ(1, ::read(ready[0], &byte, 1));
    EXPECT_EQ(ErrorKind::conflict, error_of([&] { FileLock(folder / "lock", FileLock::Wait::fail, "held"); }).kind());
    std::atomic<bool> collected = false;
    std::jthread collector([&] {
        Region mine(folder, "local");
        mine.collect({.trust = trust});
        collected = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_FALSE(collected);
    ::kill(holder, SIGKILL);
    ::waitpid(holder, nullptr, 0);
    collector.join();
    EXPECT_TRUE(collected);
    ::close(ready[0]);
    ::close(ready[1]);
}

} // namespace
} // namespace kiln::registry
