// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "core/files.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace kiln
{
namespace
{

constexpr ErrorKind all_kinds[] = {ErrorKind::internal,     ErrorKind::usage,       ErrorKind::recipe,
                                   ErrorKind::missing_tool, ErrorKind::no_space,    ErrorKind::network,
                                   ErrorKind::package,      ErrorKind::step_failed, ErrorKind::not_found,
                                   ErrorKind::conflict,     ErrorKind::untrusted,   ErrorKind::launch,
                                   ErrorKind::test_failed,  ErrorKind::io,          ErrorKind::permission_denied,
                                   ErrorKind::damaged,      ErrorKind::interrupted};

TEST(Error, EveryKindHasAnExitCodeOfItsOwnAndARowInTheDocumentation)
{
    const std::string document = read_file(std::string(KILN_SOURCE_DIR) + "/docs/exit-codes.md");
    std::set<int> codes;
    for (const ErrorKind kind : all_kinds) {
        codes.insert(exit_code(kind));
        const std::string row = "| " + std::to_string(exit_code(kind)) + " | " + std::string(name_of(kind)) + " |";
        EXPECT_NE(document.find(row), std::string::npos) << row;
    }
    EXPECT_EQ(codes.size(), std::size(all_kinds));
    EXPECT_FALSE(codes.contains(0));
    EXPECT_FALSE(codes.contains(125)); // of `kiln instance exec`
}

TEST(Error, GathersContextOnTheWayUp)
{
    Error error(ErrorKind::io, "no luck", "try again");
    error.while_doing("reading the disk").while_doing("building x").at("x.toml:3:1");
    EXPECT_STREQ(error.what(), "x.toml:3:1: building x: reading the disk: no luck");
    EXPECT_EQ(error.hint(), "try again");
}

TEST(Error, ErrnoDecidesTheKind)
{
    EXPECT_EQ(system_error(ENOSPC, "x").kind(), ErrorKind::no_space);
    EXPECT_EQ(system_error(EDQUOT, "x").kind(), ErrorKind::no_space);
    EXPECT_EQ(system_error(EACCES, "x").kind(), ErrorKind::permission_denied);
    EXPECT_EQ(system_error(ENOENT, "x").kind(), ErrorKind::not_found);
    EXPECT_EQ(system_error(EIO, "writing f").kind(), ErrorKind::io);
    EXPECT_STREQ(system_error(EIO, "writing f").what(), "writing f: Input/output error");
}

} // namespace
} // namespace kiln
