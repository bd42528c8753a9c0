// SPDX-License-Identifier: Apache-2.0
// Attacks 8 and 9 of docs/threat-model.md: archives from outside, written byte by byte.
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "core/safe_tar.h"
#include "tests/support/made_tar.h"
#include "tests/support/temporary_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;

using test::header_of;
using test::tar_of;
using Member = test::MadeMember;

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

TEST_F(HostileArchive, Attack08_ASystemKeepsWhatASystemNeeds)
{
    const SafeTarOptions system{.whole_system = true};
    write({{"usr/bin/su", '0', "x", "", 04755}, {"dev/null", '3'}, {"dev/pts/", '5'}, {"dev/sda", '4'}});
    EXPECT_EQ(listing(system), "usr/\nusr/bin/\nusr/bin/su\ndev/\ndev/pts/\n");
    EXPECT_NE(std::string::npos,
              run_or_throw({.argv = {"tar", "-tvf", path("out").native()}}, "listing").find("-rwsr-xr-x"));
    fs::remove(path("out"));
    const auto refused = [&](const std::vector<Member>& members, const std::string& reason) {
        write(members);
        expect_refused(reason, system);
    };
    refused({{"sda", '4'}}, "its member \"sda\": it is a device");
    refused({{"dev/fifo", '6'}}, "device, FIFO or socket");
    refused({{"dev/../sda", '4'}}, "its name holds \"..\"");
    refused({{"dev", '2', "", "etc"}, {"dev/null", '3'}}, "below the symbolic link \"dev\"");
    refused({{"dev/sda", '4'}, {"disk", '1', "", "dev/sda"}}, "not an earlier file");
    refused({{"dev/sda", '4'}, {"dev/sda"}}, "its name comes twice");
    refused({{"a", '2', "", "/etc"}, {"a/passwd"}}, "below the symbolic link \"a\"");
}

TEST_F(HostileArchive, ASystemKeepsFileCapabilitiesOnly)
{
    // Of net_raw+ep, as setcap writes it.
    const std::string capability("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
                                 20);
    const auto record = [](const std::string& text) {
        std::size_t length = text.size() + 3; // " ", "\n" and a digit
        while (fmt::format("{}", length).size() + text.size() + 2 > length) {
            ++length;
        }
        return fmt::format("{} {}\n", length, text);
    };
    write({{"pax", 'x',
            record("SCHILY.xattr.security.capability=" + capability) + record("SCHILY.xattr.trusted.overlay.opaque=y") +
                record("SCHILY.xattr.user.note=hi")},
           {"ping", '0', "x", "", 0755}});
    EXPECT_EQ(listing({.whole_system = true}), "ping\n");
    const std::string kept = read_file(path("out"));
    EXPECT_NE(std::string::npos, kept.find("SCHILY.xattr.security.capability=" + capability));
    EXPECT_EQ(std::string::npos, kept.find("trusted.overlay"));
    EXPECT_EQ(std::string::npos, kept.find("user.note"));
    EXPECT_EQ(listing(), "ping\n");
    EXPECT_EQ(std::string::npos, read_file(path("out")).find("security.capability"));
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
    // A sparse file's map (GNU.sparse) that leads behind the length that the member says.
    const auto record = [](const std::string& text) { return fmt::format("{} {}\n", text.size() + 4, text); };
    write({{"pax", 'x',
            record("GNU.sparse.size=1024") + record("GNU.sparse.map=4096,512") + record("GNU.sparse.numblocks=1")},
           {"sparse", '0', std::string(512, 'x')}});
    expect_refused("than it says");
    // The pax header says another size than the one below it.
    write({{"pax", 'x', record("size=1099511627776")}, {"lie", '0', "x"}});
    expect_refused("holds more than 1 GiB", {.largest_content = gibibytes(1)});
    const auto begun = std::chrono::steady_clock::now();
    expect_refused("can't be read", {.largest_content = gibibytes(2048)});
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10)); // the rest isn't made up
    write_file_durably(path("in"), "no archive at all");
    expect_refused("can't be read");
}

} // namespace
} // namespace kiln::builder
