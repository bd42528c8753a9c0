// SPDX-License-Identifier: Apache-2.0
#include "bundle/oci.h"

#include "core/error.h"
#include "core/files.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <sys/stat.h>

namespace kiln::bundle
{
namespace
{
namespace fs = std::filesystem;

class LayoutTest : public ::testing::Test
{
protected:
    test::TemporaryFolder folder;
    Layout layout{folder.path() / "region", true};

    fs::path write(const std::string& name, const std::string& bytes) const
    {
        const fs::path file = folder.path() / name;
        std::ofstream(file, std::ios::binary) << bytes;
        return file;
    }
    Json index() const { return parse_json(read_file(folder.path() / "region" / "index.json"), "index"); }
    static void overwrite(const fs::path& blob, const std::string& bytes)
    {
        fs::remove(blob);
        std::ofstream(blob, std::ios::binary) << bytes;
    }
    Descriptor attach(const Descriptor& subject, const Json& annotations) const
    {
        static_cast<void>(layout.put(oci_empty_blob, oci_empty_type));
        const Descriptor envelope = layout.put("envelope", dsse_type);
        const Descriptor manifest =
            layout.put(attached_oci_manifest(signature_artifact_type, envelope, subject), oci_manifest_type);
        layout.add_to_index(manifest, signature_artifact_type, annotations);
        return manifest;
    }
};

mode_t mode_of(const fs::path& file)
{
    struct stat status {
    };
    EXPECT_EQ(0, ::stat(file.c_str(), &status));
    return status.st_mode & 07777U;
}

ErrorKind kind_of(const std::function<void()>& action)
{
    try {
        action();
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::internal;
}

TEST_F(LayoutTest, IsAnOciImageLayout)
{
    EXPECT_EQ(R"({"imageLayoutVersion":"1.0.0"})", read_file(folder.path() / "region" / "oci-layout"));
    EXPECT_EQ(R"({"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2})",
              read_file(folder.path() / "region" / "index.json"));
    EXPECT_NO_THROW(Layout(folder.path() / "region", false));
    EXPECT_EQ(ErrorKind::not_found, kind_of([&] { Layout(folder.path() / "nowhere", false); }));
}

TEST_F(LayoutTest, OpeningAgainKeepsTheIndex)
{
    layout.add_to_index(layout.put("{}", oci_manifest_type), ami_artifact_type, Json::object());
    const Layout again(folder.path() / "region", true);
    EXPECT_EQ(1U, index()["manifests"].size());
}

TEST_F(LayoutTest, StoresBlobsReadOnlyUnderTheirDigest)
{
    const Descriptor put = layout.put("hello", "text/plain");
    EXPECT_EQ("sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", put.digest.to_string());
    EXPECT_EQ(ByteSize(5), put.size);
    EXPECT_EQ(0444U, mode_of(layout.blob_path(put.digest)));
    EXPECT_EQ("hello", layout.read_verified(put.digest));

    const fs::path file = write("layer", "layer bytes");
    const Descriptor moved = layout.put_file(file, disk_layer_type);
    EXPECT_EQ(digest_of("layer bytes"), moved.digest);
    EXPECT_EQ(ByteSize(11), moved.size);
    EXPECT_EQ(0444U, mode_of(layout.blob_path(moved.digest)));
    EXPECT_FALSE(fs::exists(file));
    EXPECT_TRUE(fs::is_empty(folder.path() / "region" / "staging"));
}

TEST_F(LayoutTest, PuttingAgainHealsADamagedBlob)
{
    const Descriptor descriptor = layout.put("hello", "text/plain");
    const auto before = fs::last_write_time(layout.blob_path(descriptor.digest));
    static_cast<void>(layout.put("hello", "text/plain"));
    EXPECT_EQ(before, fs::last_write_time(layout.blob_path(descriptor.digest)));
    overwrite(layout.blob_path(descriptor.digest), "jello");
    static_cast<void>(layout.put("hello", "text/plain"));
    EXPECT_EQ("hello", layout.read_verified(descriptor.digest));
    overwrite(layout.blob_path(descriptor.digest), "");
    static_cast<void>(layout.put_file(write("again", "hello"), "text/plain"));
    EXPECT_EQ("hello", layout.read_verified(descriptor.digest));
}

TEST_F(LayoutTest, ReadsOnlyWhatHasTheDigest)
{
    const Descriptor descriptor = layout.put("hello", "text/plain");
    overwrite(layout.blob_path(descriptor.digest), "jello");
    EXPECT_EQ(ErrorKind::untrusted, kind_of([&] { static_cast<void>(layout.read_verified(descriptor.digest)); }));
    EXPECT_EQ(ErrorKind::not_found, kind_of([&] { static_cast<void>(layout.read_verified(digest_of("absent"))); }));
    const Descriptor large = layout.put(std::string(2000, 'x'), "text/plain");
    EXPECT_EQ(ErrorKind::io, kind_of([&] { static_cast<void>(layout.read_verified(large.digest, ByteSize(1999))); }));
}

TEST_F(LayoutTest, TakesNoSymbolicLinkAndNoFolder)
{
    const fs::path target = write("target", "secret");
    fs::create_symlink(target, folder.path() / "link");
    EXPECT_THROW(static_cast<void>(layout.put_file(folder.path() / "link", disk_layer_type)), Error);
    EXPECT_TRUE(fs::exists(target));
    EXPECT_NE(0444U, mode_of(target));
    EXPECT_THROW(static_cast<void>(layout.put_file(folder.path(), disk_layer_type)), Error);
    EXPECT_THROW(static_cast<void>(layout.put_file(folder.path() / "absent", disk_layer_type)), Error);
}

TEST_F(LayoutTest, IndexHasEachManifestOnceAndEachNameOnce)
{
    const Descriptor one = layout.put("one", oci_manifest_type);
    const Descriptor two = layout.put("two", oci_manifest_type);
    const Json named{{std::string(reference_name_annotation), "web-1.0.0-x86_64"}};
    layout.add_to_index(one, ami_artifact_type, named);
    layout.add_to_index(one, ami_artifact_type, named);
    EXPECT_EQ(1U, index()["manifests"].size());
    layout.add_to_index(two, ami_artifact_type, named);
    const Json manifests = index()["manifests"];
    ASSERT_EQ(2U, manifests.size());
    EXPECT_TRUE(manifests[0]["annotations"].empty());
    EXPECT_EQ(named, manifests[1]["annotations"]);
    EXPECT_EQ(two.digest.to_string(), manifests[1]["digest"]);
    EXPECT_EQ(ami_artifact_type, manifests[1]["artifactType"].get<std::string>());
}

TEST_F(LayoutTest, KeepsEntriesOfOtherTools)
{
    const Json foreign{
        {"digest", digest_of("x").to_string()}, {"mediaType", "a/b"}, {"size", 1}, {"platform", {{"os", "linux"}}}};
    Json changed = index();
    changed["manifests"].push_back(foreign);
    write_file_durably(folder.path() / "region" / "index.json", changed.dump());
    layout.add_to_index(layout.put("one", oci_manifest_type), ami_artifact_type, Json::object());
    EXPECT_EQ(foreign, index()["manifests"][0]);
}

TEST_F(LayoutTest, FindsTheSignaturesOfOneManifest)
{
    const Descriptor one = layout.put("one", oci_manifest_type);
    const Descriptor two = layout.put("two", oci_manifest_type);
    EXPECT_TRUE(layout.find_attached(one.digest, signature_artifact_type).empty());
    const Descriptor annotated = attach(one, {{std::string(subject_annotation), one.digest.to_string()}});
    const Descriptor plain = attach(two, Json::object());
    EXPECT_EQ(std::vector{annotated.digest}, layout.find_attached(one.digest, signature_artifact_type));
    EXPECT_EQ(std::vector{plain.digest}, layout.find_attached(two.digest, signature_artifact_type));
}

TEST_F(LayoutTest, AnAnnotationCannotMoveASignature)
{
    const Descriptor one = layout.put("one", oci_manifest_type);
    const Descriptor two = layout.put("two", oci_manifest_type);
    attach(one, {{std::string(subject_annotation), two.digest.to_string()}});
    EXPECT_TRUE(layout.find_attached(one.digest, signature_artifact_type).empty());
    EXPECT_TRUE(layout.find_attached(two.digest, signature_artifact_type).empty());
}

TEST_F(LayoutTest, ADamagedSignatureIsFoundNotForgotten)
{
    const Descriptor one = layout.put("one", oci_manifest_type);
    const Descriptor signature = attach(one, {{std::string(subject_annotation), one.digest.to_string()}});
    overwrite(layout.blob_path(signature.digest), "x");
    EXPECT_EQ(std::vector{signature.digest}, layout.find_attached(one.digest, signature_artifact_type));
}

TEST_F(LayoutTest, SweepsWhatAKilledWriterLeft)
{
    write("region/staging/0123", "half");
    layout.sweep_abandoned();
    EXPECT_TRUE(fs::is_empty(folder.path() / "region" / "staging"));
}

TEST_F(LayoutTest, ADamagedIndexIsAnError)
{
    write_file_durably(folder.path() / "region" / "index.json", "[]");
    EXPECT_EQ(ErrorKind::io,
              kind_of([&] { static_cast<void>(layout.find_attached(digest_of("x"), signature_artifact_type)); }));
}

} // namespace
} // namespace kiln::bundle
