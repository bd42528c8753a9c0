// SPDX-License-Identifier: Apache-2.0
// Attacks 1 to 6 of docs/threat-model.md: disk images from outside. Where qemu-img can make the hostile file, it does.
#include "builder/foreign_disk.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/process.h"
#include "tests/support/temporary_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;

class HostileDisk : public testing::Test
{
protected:
    void SetUp() override
    {
        if (!find_program("qemu-img") || !find_program("qemu-io")) {
            GTEST_SKIP() << "qemu-utils is not installed";
        }
    }

    [[nodiscard]] fs::path path(const std::string& name) const { return folder_.path() / name; }
    void qemu(std::vector<std::string> argv) const
    {
        run_or_throw({.argv = std::move(argv), .folder = folder_.path()}, "making a disk");
    }
    void create(const std::string& name, const std::string& format = "qcow2", const std::string& options = "") const
    {
        std::vector<std::string> argv = {"qemu-img", "create", "-q", "-f", format};
        if (!options.empty()) {
            argv.insert(argv.end(), {"-o", options});
        }
        argv.insert(argv.end(), {name, "16M"});
        qemu(argv);
    }
    void patch(const std::string& name, std::uint64_t offset, std::string_view bytes) const
    {
        std::fstream file(path(name), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(offset));
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        ASSERT_TRUE(file.good());
    }
    void patch_number(const std::string& name, std::uint64_t offset, std::uint64_t value, std::size_t length) const
    {
        std::string bytes;
        for (std::size_t i = length; i > 0; --i) {
            bytes += static_cast<char>(value >> (8 * (i - 1)) & 0xffU);
        }
        patch(name, offset, bytes);
    }
    // Refused by the check and by the import, which leaves nothing behind.
    void expect_refused(const std::string& name, const std::string& format, const std::string& reason) const
    {
        const auto expect = [&](const auto& attempt) {
            try {
                attempt();
                ADD_FAILURE() << name << " was taken as " << format;
            } catch (const Error& error) {
                EXPECT_EQ(ErrorKind::untrusted, error.kind()) << error.what();
                EXPECT_NE(std::string::npos, std::string(error.what()).find(reason)) << error.what();
            }
        };
        expect([&] { static_cast<void>(require_safe_disk(path(name), format)); });
        const fs::path layers = path("layers");
        fs::create_directories(layers);
        expect([&] { import_disk(path(name), format, digest_of_file(path(name)), layers / "layer", {}); });
        EXPECT_TRUE(fs::is_empty(layers));
    }
    // Comes in as a layer with the same content and no name of another file.
    void expect_imported(const std::string& name, const std::string& format) const
    {
        const fs::path layer = path(name + ".layer");
        EXPECT_EQ(import_disk(path(name), format, digest_of_file(path(name)), layer, {}), mebibytes(16)) << name;
        const Json info = parse_json(
            run_or_throw({.argv = {"qemu-img", "info", "-f", "qcow2", "--output=json", layer.native()}}, "info"),
            "info");
        EXPECT_FALSE(info.contains("backing-filename"));
        EXPECT_EQ(info.at("format-specific").at("data").at("compression-type"), "zstd");
        qemu({"qemu-img", "compare", "-q", "-f", format, "-F", "qcow2", name, layer.native()});
    }

    test::TemporaryFolder folder_;
};

TEST_F(HostileDisk, ImportsHonestDisks)
{
    for (const auto& [name, format, options] :
         std::vector<std::array<std::string, 3>>{{"2.qcow2", "qcow2", "compat=0.10"},
                                                 {"3.qcow2", "qcow2", ""},
                                                 {"small.qcow2", "qcow2", "cluster_size=512"},
                                                 {"large.qcow2", "qcow2", "cluster_size=2M"},
                                                 {"zstd.qcow2", "qcow2", "compression_type=zstd"},
                                                 {"l2.qcow2", "qcow2", "extended_l2=on"},
                                                 {"sparse.vmdk", "vmdk", ""},
                                                 {"stream.vmdk", "vmdk", "subformat=streamOptimized"},
                                                 {"disk.raw", "raw", ""}}) {
        create(name, format, options);
        if (name != "stream.vmdk") { // QEMU writes these by convert only
            qemu({"qemu-io", "-f", format, "-c", "write -P 7 1M 1M", name});
        }
        expect_imported(name, format);
    }
    qemu(
        {"qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", "disk.raw", "full.vmdk"});
    expect_imported("full.vmdk", "vmdk");
}

TEST_F(HostileDisk, AnotherDigestIsRefused)
{
    create("disk.qcow2");
    try {
        import_disk(path("disk.qcow2"), "qcow2", digest_of("other"), path("layer"), {});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(ErrorKind::untrusted, error.kind());
        EXPECT_NE(std::string::npos, error.message().find(digest_of("other").to_string()));
    }
    EXPECT_FALSE(fs::exists(path("layer")));
}

TEST_F(HostileDisk, Attack01_BackingFile)
{
    qemu({"qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/shadow", "disk.qcow2", "16M"});
    expect_refused("disk.qcow2", "qcow2", "backing file \"/etc/shadow\"");
    // A name that is not in the header, or one of no length.
    create("far.qcow2");
    patch_number("far.qcow2", 8, 1U << 20U, 8);
    patch_number("far.qcow2", 16, 20, 4);
    expect_refused("far.qcow2", "qcow2", "out of bounds");
    create("long.qcow2");
    patch_number("long.qcow2", 8, 512, 8);
    patch_number("long.qcow2", 16, 0xffffffffU, 4);
    expect_refused("long.qcow2", "qcow2", "out of bounds");
    // One of no length names nothing, which QEMU leaves behind, but not out there.
    create("none.qcow2");
    patch_number("none.qcow2", 8, 512, 8);
    expect_imported("none.qcow2", "qcow2");
    create("none-far.qcow2");
    patch_number("none-far.qcow2", 8, std::uint64_t{1} << 40U, 8);
    expect_refused("none-far.qcow2", "qcow2", "out of bounds");
}

TEST_F(HostileDisk, Attack02_ExternalDataFile)
{
    create("disk.qcow2", "qcow2", "data_file=data.raw,data_file_raw=on");
    expect_refused("disk.qcow2", "qcow2", "in another file");
    // The feature's bit or its extension alone.
    create("bit.qcow2");
    patch_number("bit.qcow2", 72, 4, 8);
    expect_refused("bit.qcow2", "qcow2", "in another file");
    create("named.qcow2", "qcow2", "data_file=data.raw");
    patch_number("named.qcow2", 72, 0, 8);
    expect_refused("named.qcow2", "qcow2", "in another file, \"data.raw\"");
}

TEST_F(HostileDisk, Attack03_JsonNames)
{
    const std::string name = R"(json:{"driver":"raw","file":{"driver":"file","filename":"/etc/shadow"}})";
    qemu({"qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", name, "disk.qcow2", "16M"});
    expect_refused("disk.qcow2", "qcow2", "backing file \"json:{");
    create("data.qcow2", "qcow2", "data_file=data.raw");
    patch_number("data.qcow2", 72, 0, 8);
    std::string bytes = read_file(path("data.qcow2"));
    const std::size_t at = bytes.find("data.raw");
    ASSERT_NE(std::string::npos, at);
    patch("data.qcow2", at, "json:{}\x1b");
    expect_refused("data.qcow2", "qcow2", "in another file, \"json:{}\\x1b\"");
}

TEST_F(HostileDisk, Attack05_VmdkThatNamesFiles)
{
    for (const std::string type : {"monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"}) {
        create(type + ".vmdk", "vmdk", "subformat=" + type);
        expect_refused(type + ".vmdk", "vmdk", "not a sparse VMDK file");
    }
    create("base.vmdk", "vmdk");
    qemu({"qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", "base.vmdk", "child.vmdk"});
    expect_refused("child.vmdk", "vmdk", "parent disk");

    const std::string good = read_file(path("base.vmdk"));
    const auto variant = [&](const std::string& name, std::string_view from, const std::string& to) {
        std::string bytes = good;
        const std::size_t at = bytes.find(from);
        ASSERT_NE(std::string::npos, at);
        bytes.erase(at, from.size());
        bytes.insert(at, to);
        // The descriptor's area is padded with zeroes, which keep the rest in its place.
        const std::size_t padding = bytes.find('\0', at);
        if (to.size() > from.size()) {
            bytes.erase(padding, to.size() - from.size());
        } else {
            bytes.insert(padding, from.size() - to.size(), '\0');
        }
        write_file_durably(path(name), bytes);
    };
    variant("flat.vmdk", "SPARSE \"base.vmdk\"", "FLAT \"/etc/shadow\" 0");
    expect_refused("flat.vmdk", "vmdk", "in another file: RW 32768 FLAT");
    variant("path.vmdk", "\"base.vmdk\"", "\"/etc/shadow\"");
    expect_refused("path.vmdk", "vmdk", "in another file");
    variant("two.vmdk", "SPARSE \"base.vmdk\"", "SPARSE \"base.vmdk\"\nRW 63 SPARSE \"more.vmdk\"");
    expect_refused("two.vmdk", "vmdk", "does not describe one file");
    variant("hint.vmdk", "parentCID=ffffffff", "parentCID=ffffffff\nparentFileNameHint=\"/etc/shadow\"");
    expect_refused("hint.vmdk", "vmdk", "parent disk");
    // QEMU goes by the embedded descriptor alone where the header claims no capacity.
    write_file_durably(path("none.vmdk"), good);
    patch_number("none.vmdk", 12, 0, 8);
    expect_refused("none.vmdk", "vmdk", "disk of 0 sectors");
}

TEST_F(HostileDisk, Attack05_OtherFormatsAndPolyglots)
{
    for (const std::string format : {"qcow2", "vmdk", "qed", "vdi", "vhdx", "vpc"}) {
        create("disk." + format, format);
        fs::resize_file(path("disk." + format), (fs::file_size(path("disk." + format)) + 511) / 512 * 512);
        expect_refused("disk." + format, "raw", "looks like a file in");
        if (format != "qcow2") {
            expect_refused("disk." + format, "qcow2", "not in qcow2 format");
        }
        if (format != "vmdk") {
            expect_refused("disk." + format, "vmdk", "not a sparse VMDK file");
        }
    }
    create("fixed.vhd", "vpc", "subformat=fixed,force_size=on");
    expect_refused("fixed.vhd", "raw", "looks like a file in VHD format");
    // Two formats at once: a qcow2 whose header space holds a VDI's mark, and a raw disk that starts like a VMDK.
    create("two", "qcow2");
    patch("two", 0x40, "\x7f\x10\xda\xbe");
    patch_number("two", 0x3c, 0x7f10dabe, 4);
    expect_refused("two", "qcow2", "internal snapshots");
    create("boot", "raw");
    patch("boot", 0, "# Disk DescriptorFile\nversion=1\n");
    expect_refused("boot", "raw", "looks like a file in VMDK format");
    write_file_durably(path("odd"), std::string(513, 'x'));
    expect_refused("odd", "raw", "not a multiple of 512");
}

TEST_F(HostileDisk, Attack06_ClaimsOfSize)
{
    const auto refused = [&](std::uint64_t offset, std::uint64_t value, std::size_t length, const std::string& reason) {
        fs::remove(path("disk.qcow2"));
        create("disk.qcow2");
        patch_number("disk.qcow2", offset, value, length);
        expect_refused("disk.qcow2", "qcow2", reason);
    };
    refused(24, std::uint64_t{1} << 63U, 8, "is not a multiple of 512 bytes up to 64");
    refused(24, (std::uint64_t{64} << 40U) + 512, 8, "is not a multiple of 512 bytes up to 64");
    refused(24, std::uint64_t{32} << 40U, 8, "L1 table is too small");
    refused(36, 0xffffffffU, 4, "L1 table claims");
    refused(36, 1U << 20U, 4, "L1 table is not inside the file");
    refused(40, ~std::uint64_t{0xffff}, 8, "L1 table is not inside the file");
    refused(56, 0xffffffffU, 4, "refcount table claims");
    refused(48, std::uint64_t{1} << 50U, 8, "refcount table is not inside the file");
    refused(60, 65536, 4, "65536 internal snapshots");
    refused(20, 31, 4, "clusters of 2^31 bytes");
    refused(20, 8, 4, "clusters of 2^8 bytes");
    refused(100, 0xfffffff8U, 4, "longer than its first cluster");
    refused(4, 4, 4, "version 4");
    refused(72, 1, 8, "not closed properly");
    refused(72, 2, 8, "corrupt");
    refused(72, 1U << 5U, 8, "does not know");
    refused(32, 2, 4, "encrypted");
    refused(96, 7, 4, "wider than 64 bits");
    refused(116, 0xffffffffU, 4, "extension is longer than the header");

    create("snapshot.qcow2");
    qemu({"qemu-img", "snapshot", "-c", "one", "snapshot.qcow2"});
    expect_refused("snapshot.qcow2", "qcow2", "1 internal snapshots");
    create("short.qcow2");
    fs::resize_file(path("short.qcow2"), 80);
    expect_refused("short.qcow2", "qcow2", "cut short");
}

// The header is fine, the table that it points to is not: qemu-img's business, under its limits.
TEST_F(HostileDisk, Attack06_BrokenTablesEndInAnError)
{
    create("disk.qcow2");
    qemu({"qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", "disk.qcow2"});
    patch_number("disk.qcow2", 0x30000, 0x8000000000000200U, 8); // the first L1 entry: inside a cluster
    fs::create_directories(path("layers"));
    EXPECT_THROW(import_disk(path("disk.qcow2"), "qcow2", digest_of_file(path("disk.qcow2")), path("layers/layer"), {}),
                 Error);
    EXPECT_TRUE(fs::is_empty(path("layers")));
}

// It would read as zeroes.
TEST_F(HostileDisk, Attack06_TablesThatLeadOutOfTheFile)
{
    constexpr std::uint64_t first_l1_entry = 0x30000;
    constexpr std::uint64_t first_l2_entry = 0x40000;
    for (const std::uint64_t entry : {first_l1_entry, first_l2_entry}) {
        fs::remove(path("disk.qcow2"));
        create("disk.qcow2");
        qemu({"qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", "disk.qcow2"});
        patch_number("disk.qcow2", entry, 0x8000001000000000U, 8);
        fs::create_directories(path("layers"));
        try {
            import_disk(path("disk.qcow2"), "qcow2", digest_of_file(path("disk.qcow2")), path("layers/layer"), {});
            ADD_FAILURE() << "taken";
        } catch (const Error& error) {
            EXPECT_EQ(ErrorKind::untrusted, error.kind());
            EXPECT_NE(std::string::npos, std::string(error.what()).find("disk.qcow2 is damaged")) << error.what();
        }
        EXPECT_TRUE(fs::is_empty(path("layers")));
    }
}

} // namespace
} // namespace kiln::builder
