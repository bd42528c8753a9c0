// SPDX-License-Identifier: Apache-2.0
#include "builder/layer_cache.h"

#include "builder/layer_stack.h"
#include "core/error.h"
#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;

class LayerCacheTest : public testing::Test
{
protected:
    [[nodiscard]] LayerCache cache() const { return LayerCache(folder_.path() / "cache"); }

    [[nodiscard]] fs::path disk(const std::string& content) const
    {
        const fs::path file = folder_.path() / "disk";
        fs::remove(file); // the cache may hold the last one under another name
        std::ofstream(file) << content;
        return file;
    }

    [[nodiscard]] CachedLayer store(const std::string& input, const std::string& below,
                                    const std::string& content = "x") const
    {
        LayerRecord record{.id = digest_of(input),
                           .instance = {},
                           .below = below,
                           .title = input,
                           .inputs = input,
                           .facts = {{"k", 1}},
                           .took = {}};
        return cache().store(std::move(record), {disk(content)});
    }

    [[nodiscard]] std::vector<std::string> found(const std::vector<std::string>& inputs) const
    {
        std::vector<WantedLayer> wanted;
        std::ranges::transform(inputs, std::back_inserter(wanted),
                               [](const auto& input) { return WantedLayer{.ids = {digest_of(input)}}; });
        return contents_of(wanted);
    }

    [[nodiscard]] std::vector<std::string> contents_of(const std::vector<WantedLayer>& wanted) const
    {
        std::vector<std::string> contents;
        for (const CachedLayer& layer : cache().find_chain(wanted, "ground")) {
            contents.push_back(read_file(layer.disk(0)));
        }
        return contents;
    }

    test::TemporaryFolder folder_;
};

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(LayerCacheTest, FindsTheLongestChain)
{
    EXPECT_THAT(found({"a", "b"}), IsEmpty());
    const CachedLayer a = store("a", "ground", "A");
    const CachedLayer b = store("b", a.record().instance, "B");
    EXPECT_THAT(found({"a", "b", "c"}), ElementsAre("A", "B"));
    EXPECT_THAT(found({"b"}), IsEmpty()); // not on this ground
    EXPECT_EQ(Json({{"k", 1}}), b.record().facts);
}

TEST_F(LayerCacheTest, TakesALayerOnlyOverTheBitsThatItWasWrittenOn)
{
    const CachedLayer old_a = store("a", "ground", "old A");
    const CachedLayer old_b = store("b", old_a.record().instance, "old B");
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // the time of use decides
    const CachedLayer new_a = store("a", "ground", "new A");
    EXPECT_THAT(found({"a", "b"}), ElementsAre("new A"));
    const CachedLayer new_b = store("b", new_a.record().instance, "new B");
    EXPECT_THAT(found({"a", "b"}), ElementsAre("new A", "new B"));
}

TEST_F(LayerCacheTest, TakesTheFirstIdAndOnlyWhatFits)
{
    const CachedLayer plain = store("plain", "ground", "plain");
    const std::vector<Digest> ids = {digest_of("locked"), digest_of("plain")};
    EXPECT_THAT(contents_of({{.ids = ids}}), ElementsAre("plain"));
    const CachedLayer locked = store("locked", "ground", "locked");
    EXPECT_THAT(contents_of({{.ids = ids}}), ElementsAre("locked"));
    const auto is = [](const CachedLayer& layer) {
        return [instance = layer.record().instance](const LayerRecord& record) { return record.instance == instance; };
    };
    EXPECT_THAT(contents_of({{.ids = ids, .fits = is(plain)}}), ElementsAre("plain"));
    EXPECT_THAT(contents_of({{.ids = {digest_of("locked")}, .fits = is(plain)}}), IsEmpty());
}

TEST_F(LayerCacheTest, EvictsWhatWasNotUsedForLongestAndNothingInUse)
{
    const std::string block(8192, 'x');
    static_cast<void>(store("a", "ground", block));
    static_cast<void>(store("b", "ground", block));
    const CachedLayer in_use = store("c", "ground", block);
    const auto hour_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
    for (const auto& entry : fs::directory_iterator(folder_.path() / "cache/layers")) {
        const bool is_b = entry.path().filename().native().starts_with(digest_of("b").hex());
        fs::last_write_time(entry.path() / "layer.json", is_b ? hour_ago : hour_ago - std::chrono::hours(1));
    }
    const ByteSize all = cache().usage().size;
    cache().evict(all);
    EXPECT_EQ(3U, cache().usage().layers);
    cache().evict(ByteSize(all.bytes() - 1));
    EXPECT_THAT(found({"a"}), IsEmpty());
    EXPECT_THAT(found({"b"}), ElementsAre(block));
    cache().evict(ByteSize());
    EXPECT_THAT(found({"b"}), IsEmpty());
    EXPECT_THAT(found({"c"}), ElementsAre(block));
}

TEST_F(LayerCacheTest, IgnoresDamagedRecords)
{
    for (const std::string content : {"", "{", "[]", R"({"schema":99})"}) {
        const CachedLayer layer = store("a", "ground");
        std::ofstream(layer.disk(0).parent_path() / "layer.json") << content;
        EXPECT_THAT(found({"a"}), IsEmpty()) << content;
    }
}

TEST_F(LayerCacheTest, WhatIsNotDurableCountsUntilTheNextBoot)
{
    std::vector<CachedLayer> layers;
    layers.push_back(store("a", "ground", "A"));
    layers.push_back(store("b", layers.front().record().instance, "B"));
    EXPECT_THAT(found({"a", "b"}), ElementsAre("A", "B"));
    const auto record_of = [](const CachedLayer& layer) { return layer.disk(0).parent_path() / "layer.json"; };
    const auto move_to_another_boot = [&](const CachedLayer& layer) {
        Json record = parse_json(read_file(record_of(layer)), "a record");
        if (!record.at("boot").is_null()) {
            record["boot"] = "another\n";
        }
        std::ofstream(record_of(layer)) << record;
    };
    const std::string of_b = read_file(record_of(layers.back()));
    move_to_another_boot(layers.back());
    EXPECT_THAT(found({"a", "b"}), ElementsAre("A"));
    std::ofstream(record_of(layers.back())) << of_b;

    cache().make_durable(layers);
    std::ranges::for_each(layers, move_to_another_boot);
    EXPECT_THAT(found({"a", "b"}), ElementsAre("A", "B"));
    EXPECT_TRUE(layers.front().durable());
}

TEST_F(LayerCacheTest, OneMakesALayerAtATime)
{
    LayerCache first = cache();
    LayerCache second = cache();
    auto lock = first.try_lock_making(digest_of("a"));
    ASSERT_TRUE(lock);
    EXPECT_FALSE(second.try_lock_making(digest_of("a")));
    EXPECT_TRUE(second.try_lock_making(digest_of("b")));
    second.evict(ByteSize()); // leaves the lock that is held
    EXPECT_FALSE(second.try_lock_making(digest_of("a")));
    lock.reset();
    EXPECT_TRUE(second.try_lock_making(digest_of("a")));
}

TEST_F(LayerCacheTest, RefusesAnOddLimit)
{
    ::setenv("KILN_CACHE_SIZE", "plenty", 1);
    EXPECT_THROW(static_cast<void>(cache_limit()), Error);
    ::setenv("KILN_CACHE_SIZE", "3GiB", 1);
    EXPECT_EQ(gibibytes(3), cache_limit());
    ::unsetenv("KILN_CACHE_SIZE");
    EXPECT_EQ(gibibytes(10), cache_limit());
}

class LayerStackTest : public LayerCacheTest
{
protected:
    static std::vector<PlannedLayer> plan(const std::vector<std::string>& inputs)
    {
        std::vector<PlannedLayer> layers;
        for (const std::string& input : inputs) {
            layers.push_back({PlannedLayer::Kind::step, input, std::nullopt, input, digest_of(input)});
        }
        return layers;
    }
    Progress progress_{true};
};

TEST_F(LayerStackTest, GoesOnAfterTheLastFinishedLayer)
{
    const auto planned = plan({"a", "b", "c"});
    LayerCache shared = cache();
    {
        LayerStack stack(shared, planned, "ground", true);
        stack.find(progress_, {});
        EXPECT_EQ(0U, stack.size());
        stack.add({disk("A")}, {}, {});
        stack.add({disk("B")}, {}, {});
    }
    LayerStack stack(shared, planned, "ground", true);
    stack.find(progress_, {});
    EXPECT_EQ(2U, stack.size());
    stack.add({disk("C")}, {}, {});
    EXPECT_TRUE(stack.complete());
    EXPECT_EQ("C", read_file(stack.files(0).back()));
}

TEST_F(LayerStackTest, WaitsForWhoMakesTheSameAndTakesItOver)
{
    const auto planned = plan({"a", "b"});
    LayerCache shared = cache();
    LayerStack maker(shared, planned, "ground", true);
    maker.find(progress_, {});
    std::vector<fs::path> taken;
    std::jthread waiter([&] {
        LayerCache own = cache();
        LayerStack stack(own, planned, "ground", true);
        stack.find(progress_, {});
        EXPECT_TRUE(stack.complete());
        taken = stack.files(0);
    });
    maker.add({disk("A")}, {}, {});
    maker.add({disk("B")}, {}, {});
    waiter.join();
    EXPECT_EQ(maker.files(0), taken);
}

TEST_F(LayerStackTest, AWaitCanBeInterrupted)
{
    const auto planned = plan({"a"});
    LayerCache shared = cache();
    LayerStack maker(shared, planned, "ground", true);
    maker.find(progress_, {});
    LayerStack waiter(shared, planned, "ground", true);
    std::stop_source stop;
    stop.request_stop();
    EXPECT_THROW(waiter.find(progress_, stop.get_token()), Error);
}

TEST_F(LayerStackTest, WithoutLookingUpEveryLayerIsMadeAnewAndFoundFirstLater)
{
    const auto planned = plan({"a"});
    LayerCache shared = cache();
    static_cast<void>(store("a", "ground", "old"));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    LayerStack stack(shared, planned, "ground", false);
    stack.find(progress_, {});
    EXPECT_EQ(0U, stack.size());
    stack.add({disk("new")}, {}, {});
    EXPECT_THAT(found({"a"}), ElementsAre("new"));
}

} // namespace
} // namespace kiln::builder
