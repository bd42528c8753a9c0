// SPDX-License-Identifier: Apache-2.0
// A region with a trusted account in a temporary folder, small layers to publish, and the means to
// damage what is stored.
#pragma once

#include "core/error.h"
#include "core/files.h"
#include "registry/region.h"
#include "registry/verified_image.h"
#include "signing/dsse.h"
#include "signing/trust_store.h"
#include "tests/support/made_qcow2.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/bundle/sample_manifest.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace kiln::test
{

inline constexpr const char* owner = "123456789012";

// A manifest with one disk that has no layer yet.
inline bundle::Manifest manifest_to_publish(const std::string& name, const SemanticVersion& version)
{
    bundle::Manifest manifest = sample_manifest();
    manifest.name = name;
    manifest.version = version;
    manifest.parent.reset();
    manifest.source = {"recipe", digest_of("recipe"), std::nullopt, std::nullopt};
    manifest.block_devices.resize(1);
    manifest.block_devices[0].layers.clear();
    manifest.launch_public = false;
    manifest.launch.accounts.clear();
    manifest.launch.deprecated_on.reset();
    manifest.owner = owner;
    return manifest;
}

inline std::filesystem::path write_layer(const std::filesystem::path& folder, const std::string& content)
{
    std::filesystem::create_directories(folder);
    const std::filesystem::path file = folder / random_hex(12);
    std::ofstream(file, std::ios::binary) << (content.empty() ? content : made_qcow2(content));
    return file;
}

class RegionTest : public ::testing::Test
{
protected:
    TemporaryFolder temporary;
    std::filesystem::path folder = temporary.path() / "regions" / "local";
    signing::SecretKey key = signing::SecretKey::generate();
    signing::TrustStore trust{temporary.path() / "trust"};
    registry::Region region{folder, "local"};

    RegionTest() { trust.trust(owner, key.public_key()); }

    std::filesystem::path layer(const std::string& bytes) const
    {
        return write_layer(temporary.path() / "work", bytes);
    }
    registry::Image publish(const std::string& name, const SemanticVersion& version)
    {
        const std::string bytes = name + version.to_string() + std::string(5000, '.');
        return region.publish(manifest_to_publish(name, version), {{"/dev/vda", layer(bytes)}}, key);
    }

    // The owner changes it.
    registry::Image change(const registry::Image& image, const registry::Change& what)
    {
        return region.change(image, what, {.account = owner, .key = key}, trust).image;
    }

    // Changes the catalogue behind Kiln's back.
    void sql(const std::string& statement) const
    {
        sqlite3* database = nullptr;
        ASSERT_EQ(SQLITE_OK, sqlite3_open((folder / "catalogue.sqlite").c_str(), &database));
        ASSERT_EQ(SQLITE_OK, sqlite3_exec(database, statement.c_str(), nullptr, nullptr, nullptr))
            << sqlite3_errmsg(database);
        sqlite3_close(database);
    }
    static void overwrite(const std::filesystem::path& file, const std::string& bytes)
    {
        std::filesystem::remove(file);
        std::ofstream(file, std::ios::binary) << bytes;
    }
    Json index() const { return parse_json(read_file(folder / "index.json"), "index"); }
    void set_index(const Json& json) const { write_file_durably(folder / "index.json", json.dump()); }

    // Attaches an envelope, whatever is in it, to any manifest.
    void attach(const std::string& envelope, const bundle::Descriptor& subject,
                std::string_view type = bundle::signature_artifact_type) const
    {
        const auto stored = region.layout().put(envelope, bundle::dsse_type);
        const auto manifest =
            region.layout().put(bundle::attached_oci_manifest(type, stored, subject), bundle::oci_manifest_type);
        region.layout().add_to_index(manifest, type, {{bundle::subject_annotation, subject.digest.to_string()}});
    }
    bundle::Descriptor manifest_of(const registry::Image& image) const
    {
        return {std::string(bundle::oci_manifest_type), image.manifest,
                ByteSize(region.layout().read_verified(image.manifest).size())};
    }
    void forget_signatures() const
    {
        Json changed = index();
        std::erase_if(changed["manifests"].get_ref<Json::array_t&>(),
                      [](const Json& entry) { return entry["artifactType"] == bundle::signature_artifact_type; });
        set_index(changed);
    }

    std::vector<std::filesystem::path> blobs() const
    {
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(folder / "blobs" / "sha256")) {
            files.push_back(entry.path());
        }
        return files;
    }

    // The error of verify(), which must agree with decide().
    Error verdict(const registry::Image& image, const std::string& caller = owner) const
    {
        const registry::Decision decision = registry::decide(region, image, trust, caller);
        try {
            static_cast<void>(registry::verify(region, image, trust, caller));
        } catch (const Error& error) {
            EXPECT_FALSE(decision.passed()) << error.what();
            return error;
        }
        EXPECT_TRUE(decision.passed());
        return {ErrorKind::internal, "verified"};
    }
    // The names of the failed checks.
    std::vector<std::string> failed(const registry::Image& image) const
    {
        std::vector<std::string> names;
        for (const auto& check : registry::decide(region, image, trust, owner).checks) {
            if (!check.passed) {
                names.push_back(check.name);
            }
        }
        return names;
    }
};

inline Error error_of(const std::function<void()>& action)
{
    try {
        action();
    } catch (const Error& error) {
        return error;
    }
    return {ErrorKind::internal, "no error"};
}

} // namespace kiln::test
