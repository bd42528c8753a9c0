// SPDX-License-Identifier: Apache-2.0
// Bundles of the region `local` on their way into the region `other`, and ones that a test makes or changes.
#pragma once

#include "core/random.h"
#include "registry/bundle_transfer.h"
#include "signing/statement.h"
#include "tests/support/read_tar.h"
#include "tests/unit/registry/region_fixture.h"

#include <fcntl.h>

namespace kiln::registry
{

inline const Transfer silent_transfer{.transferred = [](ByteSize, ByteSize) {}};

class BundleTransferTest : public test::RegionTest
{
protected:
    const std::filesystem::path file = temporary.path() / "web.ami";
    Region other{temporary.path() / "other", "other"};
    const std::string stranger = "999999999999";
    signing::SecretKey stranger_key = signing::SecretKey::generate();

    Image publish_with_sbom(const std::string& name, bool is_public = false)
    {
        bundle::Manifest manifest = test::manifest_to_publish(name, {1, 0, 0});
        manifest.launch_public = is_public;
        return region.publish(
            manifest, {{"/dev/vda", layer(name + std::string(5000, '.'))}, {"/dev/vda", layer(name + " upper")}}, key,
            {{std::string(bundle::sbom_artifact_type), R"({"spdxVersion":"SPDX-2.3"})"}});
    }
    std::string exported(const Image& image) const
    {
        const VerifiedImage verified = verify(region, image, trust, test::owner);
        const FileDescriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        export_image(region, verified, fd.get(), silent_transfer);
        return read_file(file);
    }
    Image import(const std::string& bytes, const std::string& caller = test::owner)
    {
        std::ofstream(file, std::ios::binary) << bytes;
        const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
        return other.import_image(
            fd.get(), trust, {.account = caller, .key = caller == test::owner ? key : stranger_key}, silent_transfer);
    }
    // Imports that are under way, or were killed.
    std::ptrdiff_t imports() const
    {
        const std::filesystem::path folder_of_imports = temporary.path() / "other/imports";
        return std::filesystem::exists(folder_of_imports)
                   ? std::distance(std::filesystem::directory_iterator(folder_of_imports), {})
                   : 0;
    }
    // Nothing of a refused bundle is left: no row, no index entry, no blob, no file under way.
    Error refusal(const std::string& bytes, const std::string& caller = test::owner)
    {
        Error error = test::error_of([&] { static_cast<void>(import(bytes, caller)); });
        EXPECT_TRUE(other.images().empty());
        EXPECT_TRUE(other.layout().find_all(bundle::ami_artifact_type).empty());
        EXPECT_TRUE(std::filesystem::is_empty(temporary.path() / "other/blobs/sha256")) << error.what();
        EXPECT_TRUE(imports() == 0) << error.what();
        return error;
    }
    void expect_untrusted(const std::vector<test::MadeMember>& members, const std::string& part)
    {
        const Error error = refusal(test::tar_of(members));
        EXPECT_EQ(ErrorKind::untrusted, error.kind()) << error.what();
        EXPECT_THAT(error.what(), ::testing::HasSubstr(part));
    }
    // The signed bundle of an image whose manifest and statement a test changed.
    std::vector<test::MadeMember> made(const bundle::Manifest& manifest, const std::string& layer_bytes,
                                       const signing::SecretKey& with) const
    {
        const bundle::Layout scratch(temporary.path() / random_hex(8), true);
        const auto config = scratch.put(canonical_json(to_json(manifest)), bundle::ami_artifact_type);
        const auto image = scratch.put(bundle::ami_oci_manifest(manifest, config), bundle::oci_manifest_type);
        static_cast<void>(scratch.put(bundle::oci_empty_blob, bundle::oci_empty_type));
        const auto envelope =
            scratch.put(signing::sign_envelope(signing::in_toto_payload_type,
                                               signing::statement_payload({.name = manifest.name,
                                                                           .version = manifest.version,
                                                                           .architecture = manifest.architecture,
                                                                           .manifest = image.digest,
                                                                           .account = manifest.owner,
                                                                           .signed_at = "2026-11-23T17:44:58Z"}),
                                               with),
                        bundle::dsse_type);
        const auto signature = scratch.put(
            bundle::attached_oci_manifest(bundle::signature_artifact_type, envelope, image), bundle::oci_manifest_type);
        const Json index{{"schemaVersion", 2},
                         {"mediaType", bundle::oci_index_type},
                         {"manifests", Json::array({{{"mediaType", bundle::oci_manifest_type},
                                                     {"artifactType", bundle::ami_artifact_type},
                                                     {"digest", image.digest.to_string()},
                                                     {"size", image.size.bytes()},
                                                     {"annotations", Json::object()}},
                                                    {{"mediaType", bundle::oci_manifest_type},
                                                     {"artifactType", bundle::signature_artifact_type},
                                                     {"digest", signature.digest.to_string()},
                                                     {"size", signature.size.bytes()},
                                                     {"annotations", Json::object()}}})}};
        std::vector<test::MadeMember> members{{.name = "oci-layout", .content = std::string(bundle::oci_layout_file)},
                                              {.name = "index.json", .content = index.dump()}};
        const auto add = [&](const Digest& digest) {
            members.push_back({.name = "blobs/sha256/" + digest.hex(), .content = scratch.read_verified(digest)});
        };
        add(image.digest);
        add(signature.digest);
        add(digest_of(bundle::oci_empty_blob));
        add(envelope.digest);
        add(config.digest);
        members.push_back({.name = "blobs/sha256/" + digest_of(layer_bytes).hex(), .content = layer_bytes});
        return members;
    }
    bundle::Manifest manifest_over(const std::string& layer_bytes) const
    {
        bundle::Manifest manifest = test::manifest_to_publish("web", {1, 0, 0});
        manifest.block_devices[0].layers = {{digest_of(layer_bytes), ByteSize(layer_bytes.size())}};
        return manifest;
    }
};

} // namespace kiln::registry
