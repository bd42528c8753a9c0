// SPDX-License-Identifier: Apache-2.0
// Compares text with a golden file below tests/golden; KILN_REWRITE_GOLDEN=1 rewrites it instead.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace kiln::test
{

inline void expect_golden(const std::string& name, const std::string& actual)
{
    const std::filesystem::path file = std::filesystem::path(KILN_GOLDEN_DIR) / name;
    if (std::getenv("KILN_REWRITE_GOLDEN") != nullptr) {
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << actual;
        return;
    }
    std::ifstream in(file);
    ASSERT_TRUE(in) << file << " is missing; make it with KILN_REWRITE_GOLDEN=1";
    std::stringstream expected;
    expected << in.rdbuf();
    EXPECT_EQ(expected.str(), actual) << "the golden file is " << file;
}

} // namespace kiln::test
