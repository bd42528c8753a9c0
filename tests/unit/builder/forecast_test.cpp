// SPDX-License-Identifier: Apache-2.0
#include "builder/forecast.h"

#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>

namespace kiln::builder
{
namespace
{

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

class Forecast : public testing::Test
{
protected:
    static PlannedLayer layer(const std::string& title, const Json& content, const std::string& below)
    {
        const Json inputs = {{"kind", "step"}, {"step", {{"kind", "file"}, {"content", content}}}};
        return {PlannedLayer::Kind::step, title, std::nullopt, inputs, digest_of(inputs.dump() + below)};
    }
    std::string store(const PlannedLayer& planned, const std::string& below, milliseconds took)
    {
        const auto disk = folder_.path() / "disk";
        write_file_durably(disk, "x");
        return cache_
            .store({.id = planned.id,
                    .instance = {},
                    .below = below,
                    .title = planned.title,
                    .inputs = planned.inputs,
                    .facts = {},
                    .took = took},
                   {disk})
            .record()
            .instance;
    }

    test::TemporaryFolder folder_;
    LayerCache cache_{folder_.path() / "cache"};
};

TEST_F(Forecast, TellsWhichInputChangedAndWhatItCosts)
{
    const PlannedLayer first = layer("file /a", "one", "");
    const PlannedLayer second = layer("file /b", "two", "1");
    store(second, store(first, "ground", milliseconds(100)), milliseconds(200));

    const auto same = forecast(cache_, {first, second}, "ground");
    EXPECT_TRUE(same[0].cached && same[1].cached);
    EXPECT_THAT(same[1].reasons, IsEmpty());

    const auto changed =
        forecast(cache_, {first, layer("file /b", "three", "1"), layer("file /c", "4", "2")}, "ground");
    EXPECT_TRUE(changed[0].cached);
    EXPECT_FALSE(changed[1].cached);
    EXPECT_THAT(changed[1].reasons, ElementsAre("step/content: \"three\" was \"two\""));
    EXPECT_EQ(milliseconds(200), changed[1].cost);
    EXPECT_THAT(changed[2].reasons, ElementsAre("the layer below is made anew"));
    EXPECT_TRUE(changed[2].cost.has_value()) << "that of the last one of its kind";
}

TEST_F(Forecast, OfAnEmptyCacheNothingIsKnown)
{
    const auto all = forecast(cache_, {layer("file /a", "one", "")}, "ground");
    EXPECT_FALSE(all[0].cached);
    EXPECT_FALSE(all[0].cost.has_value());
    EXPECT_THAT(all[0].reasons, ElementsAre("it was not built before, or evicted"));
}

} // namespace
} // namespace kiln::builder
