// SPDX-License-Identifier: Apache-2.0
#include "core/accelerator.h"
#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

namespace kiln
{
namespace
{

using std::chrono::seconds;

class HostPatience : public ::testing::Test
{
protected:
    void probe_says(std::string_view text) { write_file_durably(folder_.path() / "accelerator.json", text); }
    [[nodiscard]] seconds with(Accelerator accelerator) const
    {
        Paths paths;
        paths.cache = folder_.path();
        return host_patience(paths, accelerator, seconds(60));
    }

private:
    kiln::test::TemporaryFolder folder_;
};

TEST_F(HostPatience, IsTheUsualWithoutAProbe)
{
    EXPECT_EQ(with(Accelerator::tcg), seconds(60));
    probe_says("not what a probe writes");
    EXPECT_EQ(with(Accelerator::tcg), seconds(60));
}

TEST_F(HostPatience, GrowsWithTheBootOfASlowHost)
{
    probe_says(R"({"accelerator":"tcg","boot_ms":4000,"key":"k","reason":"r"})");
    EXPECT_EQ(with(Accelerator::tcg), seconds(150));
    EXPECT_EQ(with(Accelerator::kvm), seconds(60)); // the probe was not of that
}

TEST_F(HostPatience, StaysBetweenTheUsualAndTenTimes)
{
    probe_says(R"({"accelerator":"kvm","boot_ms":300,"key":"k","reason":"r"})");
    EXPECT_EQ(with(Accelerator::kvm), seconds(60));
    probe_says(R"({"accelerator":"kvm","boot_ms":120000,"key":"k","reason":"r"})");
    EXPECT_EQ(with(Accelerator::kvm), seconds(600));
    probe_says(R"({"accelerator":"kvm","boot_ms":-9000000000000000000,"key":"k","reason":"r"})");
    EXPECT_EQ(with(Accelerator::kvm), seconds(60));
}

} // namespace
} // namespace kiln
