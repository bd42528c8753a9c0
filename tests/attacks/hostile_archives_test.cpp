// SPDX-License-Identifier: Apache-2.0
// Attacks 8 and 9 of docs/threat-model.md: archives from outside, written byte by byte.
#include "builder/safe_tar.h"
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "tests/support/temporary_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <numeric>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;

struct Member {
    std::string name{};
    char type = '0';
    std::string content{};
    std::string target{};
    unsigned mode = 0644;
    std::optional<std::uint64_t> declared{}; // size, where it differs
};

// POSIX ustar.
std::string header_of(const Member& member)
{
    std::string block(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
    put(0, member.name);
    put(100, fmt::format("{:07o}", member.mode));
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", member.declared.value_or(member.content.size())));
    put(136, "00000000000");
    put(148, "        ");
    block[156] = member.type;
    put(157, member.target);
    put(257, std::string("ustar\00000", 8));
    const unsigned sum = std::accumulate(block.begin(), block.end(), 0U,
                                         [](unsigned left, char c) { return left + static_cast<unsigned char>(c); });
    put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    return block;
}

std::string tar_of(const std::vector<Member>& members)
{
    std::string tar;
    for (const Member& member : members) {
        tar += header_of(member) + member.content;
        tar.resize((tar.size() + 511) / 512 * 512);
    }
    return tar + std::string(1024, '\0');
}

class HostileArchive : public testing::Test
{
protected:
    [[nodiscard]] fs::path path(const std::string& name) const { return folder_.path() / name; }
    void write(const std::vector<Member>& members) const { write_file_durably(path("in"), tar_of(members)); }
    void expect_refused(const std::string& reason, const SafeTarOptions& options = {}) const
    {
        try {
            write_safe_tar(path("in"), path("out"), options);
            ADD_FAILURE() << "taken, instead of: " << reason;
        } catch (const Error& error) {
            EXPECT_EQ(ErrorKind::untrusted, error.kind()) << error.what();
            EXPECT_NE(std::string::npos, std::string(error.what()).find(reason)) << error.what();
        }
        EXPECT_FALSE(fs::exists(path("out")));
        fs::remove(path("out"));
    }
    void expect_refused(const std::vector<Member>& members, const std::string& reason) const
    {
        write(members);
        expect_refused(reason);
    }
    // What tar lists.
    [[nodiscard]] std::string listing(const SafeTarOptions& options = {}) const
    {
        fs::remove(path("out"));
        write_safe_tar(path("in"), path("out"), options);
        return run_or_throw({.argv = {"tar", "--numeric-owner", "-tf", path("out").native()}}, "listing");
    }

    test::TemporaryFolder folder_;
};

TEST_F(HostileArchive, HonestOnesComeThrough)
{
    write({{"./a/", '5', "", "", 0755},
           {"./a/file", '0', "content"},
           {"./a/link", '2', "", "/etc/hosts"},
           {"./a/hard", '1', "", "a/file"},
           {"deep/er/f", '0', "x"}});
    EXPECT_EQ(listing(), "a/\na/file\na/link\na/hard\ndeep/\ndeep/er/\ndeep/er/f\n");
    EXPECT_EQ(run_or_throw({.argv = {"tar", "-xOf", path("out").native(), "a/file"}}, "reading"), "content");
    EXPECT_EQ(listing({.strip = 1}), "file\nlink\nhard\ner/\ner/f\n");
    static_cast<void>(listing({.owner = 12, .group = 34}));
    EXPECT_NE(
        std::string::npos,
        run_or_throw({.argv = {"tar", "--numeric-owner", "-tvf", path("out").native()}}, "listing").find(" 12/34 "));
    run_or_throw({.argv = {"gzip", "-k", path("in").native()}}, "packing");
    fs::rename(path("in.gz"), path("in"));
    EXPECT_EQ(listing({.strip = 1}), "file\nlink\nhard\ner/\ner/f\n");
}

TEST_F(HostileArchive, Attack08_NamesThatLeaveTheFolder)
{
    expect_refused({{"../evil"}}, "its member \"../evil\": its name holds \"..\"");
    expect_refused({{"a/../../evil"}}, "its name holds \"..\"");
    expect_refused({{"/etc/evil"}}, "its name is absolute");
    expect_refused({{"a\x1b[2Jb"}}, "control characters");
    expect_refused({{"a\xff"
                     "b"}},
                   "not UTF-8");
    write({{"top/../../evil"}});
    expect_refused("its name holds \"..\"", {.strip = 3});
}

TEST_F(HostileArchive, Attack08_WaysThroughLinks)
{
    expect_refused({{"a", '2', "", "/etc"}, {"a/passwd"}}, "below the symbolic link \"a\"");
    // Two hops: each link stays inside by itself.
    expect_refused({{"a", '2', "", "."}, {"a/b", '2', "", ".."}, {"a/b/evil"}}, "below the symbolic link \"a\"");
    expect_refused({{"a/b", '0'}, {"a", '2', "", "/etc"}}, "its name comes twice");
    expect_refused({{"a"}, {"a/b"}}, "below the file \"a\"");
    expect_refused({{"l", '2', "", "/etc/shadow"}, {"h", '1', "", "l"}}, "not an earlier file");
    expect_refused({{"h", '1', "", "../../etc/shadow"}}, "its name holds \"..\"");
    expect_refused({{"h", '1', "", "/etc/shadow"}}, "its name is absolute");
    expect_refused({{"h", '1', "", "later"}, {"later"}}, "not an earlier file");
}

TEST_F(HostileArchive, Attack08_KindsModesAndDuplicates)
{
    for (const char type : {'3', '4', '6'}) {
        expect_refused({{"special", type}}, "device, FIFO or socket");
    }
    expect_refused({{"su", '0', "", "", 04755}}, "set-id bit");
    expect_refused({{"sg/", '5', "", "", 02775}}, "set-id bit");
    expect_refused({{"a"}, {"./a"}}, "its name comes twice");
    expect_refused({{"a/", '5'}, {"a", '2', "", "b"}}, "its name comes twice");
}

TEST_F(HostileArchive, Attack09_BombsStopAtTheLimit)
{
    for (const std::string tool : {"gzip", "zstd"}) {
        if (!find_program(tool)) {
            continue;
        }
        write({{"zeroes", '0', std::string(std::size_t{64} << 20U, '\0')}});
        // Both name what they make after their own ending, and both have -c.
        write_file_durably(path("in.packed"), run_or_throw({.argv = {tool, "-c", path("in").native()}}, "packing"));
        fs::rename(path("in.packed"), path("in"));
        EXPECT_LT(fs::file_size(path("in")), 1U << 20U);
        expect_refused("holds more than 32 MiB", {.largest_content = mebibytes(32)});
    }
    write({{"a"}, {"b"}, {"c"}});
    expect_refused("more than 2 members", {.most_members = 2});
}

TEST_F(HostileArchive, Attack09_ContentIsAsLongAsDeclared)
{
    const std::string cut = header_of({.name = "a", .declared = 1U << 20U}) + std::string(4096, 'x');
    write_file_durably(path("in"), cut);
    expect_refused("can't be read");
    write({{.name = "huge", .declared = 0777777777777U >> 1U}});
    expect_refused("holds more than 1 GiB", {.largest_content = gibibytes(1)});
    write_file_durably(path("in"), "no archive at all");
    expect_refused("can't be read");
}

} // namespace
} // namespace kiln::builder
