// SPDX-License-Identifier: Apache-2.0
#include "bundle/manifest.h"

#include "core/error.h"
#include "tests/support/complaint.h"
#include "tests/support/golden.h"
#include "tests/unit/bundle/sample_manifest.h"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

namespace kiln::bundle
{
namespace
{

using test::sample_manifest;

std::string complaint_about(const Json& json)
{
    return test::complaint_of([&] { static_cast<void>(manifest_from_json(json)); });
}

TEST(Manifest, IsWrittenAsItsGoldenFile)
{
    test::expect_golden("bundle/manifest.json", canonical_json(to_json(sample_manifest())) + "\n");
}

TEST(Manifest, WritesNullForWhatIsNotThere)
{
    Manifest manifest = sample_manifest();
    manifest.parent.reset();
    manifest.source = {"recipe", std::nullopt, std::nullopt, std::nullopt};
    manifest.block_devices.resize(1);
    manifest.block_devices[0].file_systems.resize(1);
    manifest.launch = {};
    manifest.tests.clear();
    manifest.tags.clear();
    manifest.software.clear();
    test::expect_golden("bundle/manifest-minimal.json", canonical_json(to_json(manifest)) + "\n");
    EXPECT_EQ(to_json(manifest), to_json(manifest_from_json(to_json(manifest))));
}

TEST(Manifest, ReadsWhatItWrote)
{
    const Json json = to_json(sample_manifest());
    EXPECT_EQ(json, to_json(manifest_from_json(parse_json(canonical_json(json), "manifest"))));
}

TEST(Manifest, NeedsEveryField)
{
    const Json whole = to_json(sample_manifest());
    for (const auto& [key, value] : whole.items()) {
        Json json = whole;
        json.erase(key);
        EXPECT_THAT(complaint_about(json), ::testing::StartsWith("manifest: " + key + ": is missing")) << key;
    }
}

TEST(Manifest, RefusesANewerSchemaWithTheReason)
{
    Json json = to_json(sample_manifest());
    json["schema"] = 5;
    json["something_new"] = true;
    EXPECT_EQ("manifest: schema 5 was made by a newer Kiln; this one reads up to 4", complaint_about(json));
    json["schema"] = 0;
    EXPECT_EQ("manifest: schema: 0 does not exist", complaint_about(json));
}

TEST(Manifest, ReadsSchema1WhichHasNoChunks)
{
    std::ifstream file(std::filesystem::path(KILN_GOLDEN_DIR) / "bundle/manifest-schema-1.json");
    const Json old = parse_json(std::string(std::istreambuf_iterator<char>(file), {}), "manifest");
    ASSERT_EQ(1, old.at("schema"));
    const Manifest manifest = manifest_from_json(old);
    Manifest wanted = sample_manifest();
    wanted.block_devices[0].layers[0].chunks.reset();
    wanted.schema = 1;
    EXPECT_EQ(to_json(wanted), to_json(manifest));
    EXPECT_EQ(old, to_json(manifest));
    Json mixed = old;
    mixed["block_device_mappings"][0]["layers"][0]["chunks"] = nullptr;
    EXPECT_EQ("manifest: block_device_mappings[0].layers[0].chunks: is not a field that this version of Kiln knows",
              complaint_about(mixed));
}

TEST(Manifest, OfAForeignDiskIsWrittenAsItsGoldenFileOfSchema3)
{
    Manifest manifest = sample_manifest();
    manifest.parent.reset();
    manifest.source = {.kind = "disk", .disk = digest_of("foreign disk")};
    EXPECT_EQ(2, schema_for(sample_manifest()));
    manifest.schema = schema_for(manifest);
    test::expect_golden("bundle/manifest-schema-3.json", canonical_json(to_json(manifest)) + "\n");
    EXPECT_EQ(to_json(manifest), to_json(manifest_from_json(to_json(manifest))));
}

TEST(Manifest, OfASnapshotIsWrittenAsItsGoldenFileOfSchema3)
{
    Manifest manifest = sample_manifest();
    manifest.source.consistency = "crash";
    manifest.source.snapshot = SnapshotFacts{
        .consistency_reason = "the guest agent does not answer",
        .frozen_us = 5200,
        .drift = Drift{.packages = {{"nginx-light", "amd64", "", "1.22.1-9"}}, .files_added = {"/srv/index.html"}}};
    manifest.schema = schema_for(manifest);
    EXPECT_EQ(3, manifest.schema);
    test::expect_golden("bundle/manifest-snapshot.json", canonical_json(to_json(manifest)) + "\n");
    EXPECT_EQ(to_json(manifest), to_json(manifest_from_json(to_json(manifest))));
}

TEST(Manifest, OnlyAnInstanceHasASnapshotAndOnlyFromSchema3On)
{
    Manifest manifest = sample_manifest();
    manifest.source.snapshot.emplace();
    manifest.schema = 3;
    Json json = to_json(manifest);
    EXPECT_EQ("accepted", complaint_about(json));
    Json old = json;
    old["schema"] = 2;
    old["source"].erase("disk");
    EXPECT_EQ("manifest: source.snapshot: is not a field that this version of Kiln knows", complaint_about(old));
    Json without = json;
    without["source"].erase("snapshot");
    EXPECT_EQ("manifest: source.snapshot: is missing", complaint_about(without));
    json["source"].update({{"kind", "recipe"}, {"instance", nullptr}, {"consistency", nullptr}});
    EXPECT_EQ("manifest: source.snapshot: only an instance has", complaint_about(json));
}

TEST(Manifest, OnlyADiskHasADiskAndOnlyFromSchema3On)
{
    Json disk = to_json(sample_manifest());
    disk["schema"] = 3;
    disk["source"] = {{"kind", "disk"},
                      {"recipe", nullptr},
                      {"instance", nullptr},
                      {"consistency", nullptr},
                      {"disk", digest_of("foreign disk").to_string()},
                      {"snapshot", nullptr}};
    EXPECT_EQ("accepted", complaint_about(disk));
    constexpr const char* wrong =
        "manifest: source.kind: does not go with disk and recipe: a disk has just the one, and others not";
    Json json = disk;
    json["source"]["disk"] = nullptr;
    EXPECT_EQ(wrong, complaint_about(json));
    json = disk;
    json["source"]["recipe"] = digest_of("recipe").to_string();
    EXPECT_EQ(wrong, complaint_about(json));
    json = disk;
    json["source"]["kind"] = "recipe";
    EXPECT_EQ(wrong, complaint_about(json));
    json["source"]["disk"] = nullptr;
    EXPECT_EQ("accepted", complaint_about(json));
    json = disk;
    json["source"]["disk"] = "sha256:12";
    EXPECT_EQ("manifest: source.disk: is not \"sha256:\" and 64 lower-case hexadecimal digits", complaint_about(json));
    json = disk;
    json["source"].erase("disk");
    EXPECT_EQ("manifest: source.disk: is missing", complaint_about(json));
    json = disk;
    json["schema"] = 2;
    EXPECT_EQ("manifest: source.kind: is not one of the known values", complaint_about(json));
    json["source"]["kind"] = "recipe";
    EXPECT_EQ("manifest: source.disk: is not a field that this version of Kiln knows", complaint_about(json));
}

TEST(Manifest, ThatAsksForWarmLaunchesIsWrittenAsItsGoldenFileOfSchema4)
{
    Manifest manifest = sample_manifest();
    manifest.launch.warm = true;
    manifest.schema = schema_for(manifest);
    EXPECT_EQ(4, manifest.schema);
    test::expect_golden("bundle/manifest-schema-4.json", canonical_json(to_json(manifest)) + "\n");
    EXPECT_TRUE(manifest_from_json(to_json(manifest)).launch.warm);
    EXPECT_EQ(to_json(manifest), to_json(manifest_from_json(to_json(manifest))));
    manifest.source.snapshot.emplace(); // of an instance of it
    EXPECT_EQ(4, schema_for(manifest));
    EXPECT_EQ(to_json(manifest), to_json(manifest_from_json(to_json(manifest))));
}

TEST(Manifest, OnlyFromSchema4OnIsThereAWordOfWarmLaunches)
{
    Manifest manifest = sample_manifest();
    manifest.schema = 4;
    const Json json = to_json(manifest);
    EXPECT_EQ(Json(false), json.at("launch").at("warm"));
    EXPECT_FALSE(manifest_from_json(json).launch.warm);
    for (const Json& wrong : {Json(1), Json("true"), Json(nullptr)}) {
        Json hostile = json;
        hostile["launch"]["warm"] = wrong;
        EXPECT_EQ("manifest: launch.warm: is not true or false", complaint_about(hostile));
    }
    Json without = json;
    without["launch"].erase("warm");
    EXPECT_EQ("manifest: launch.warm: is missing", complaint_about(without));
    for (const int schema : {2, 3}) {
        manifest.schema = schema;
        Json old = to_json(manifest);
        EXPECT_FALSE(old.at("launch").contains("warm"));
        old["launch"]["warm"] = true;
        EXPECT_EQ("manifest: launch.warm: is not a field that this version of Kiln knows", complaint_about(old));
    }
}

TEST(Manifest, ChunksGrowWithTheLayer)
{
    EXPECT_EQ(std::nullopt, chunk_size_for(mebibytes(64)));
    EXPECT_EQ(mebibytes(64), chunk_size_for(ByteSize(mebibytes(64).bytes() + 1)));
    EXPECT_EQ(mebibytes(64), chunk_size_for(gibibytes(64)));
    EXPECT_EQ(mebibytes(128), chunk_size_for(ByteSize(gibibytes(64).bytes() + 1)));
    EXPECT_EQ(gibibytes(64), chunk_size_for(gibibytes(64 * 1024)));
}

struct Hostile {
    const char* pointer;
    Json value;
    const char* complaint;
};

TEST(Manifest, RefusesHostileFields)
{
    const std::string bell(1, '\a');
    const std::string long_text(70'000, 'a');
    const std::int64_t too_large = (std::int64_t{64} << 40U) + 512;
    const std::vector<Hostile> table{
        {"/name", "../../x", "manifest: name: is not an image name"},
        {"/name", "-rf", "manifest: name: is not an image name"},
        {"/name", 7, "manifest: name: is not a string"},
        {"/name", "ami-0123456789abcdef0", "manifest: name: is not an image name"},
        {"/version", "1.2", "manifest: version: is not a version like 1.2.3"},
        {"/description", "red\x1b[31m", "manifest: description: holds a control character"},
        {"/description", std::string("a\0b", 3), "manifest: description: holds a control character"},
        {"/description", long_text, "manifest: description: is longer than 4096 bytes"},
        {"/architecture", "z80", "manifest: architecture: is not one of the known values"},
        {"/boot_mode", "", "manifest: boot_mode: is not one of the known values"},
        {"/os", Json::array(), "manifest: os: is not an object"},
        {"/os/name", bell, "manifest: os.name: holds a control character"},
        {"/os/extra", 1, "manifest: os.extra: is not a field that this version of Kiln knows"},
        {"/extra", nullptr, "manifest: extra: is not a field that this version of Kiln knows"},
        {"/root_device_name", "/dev/vdd", "manifest: block_device_mappings: does not begin with the root device"},
        {"/root_device_name", "/etc/passwd", "manifest: root_device_name: is not a device from /dev/vda to /dev/vdz"},
        {"/block_device_mappings", Json::array(),
         "manifest: block_device_mappings: does not begin with the root device"},
        {"/block_device_mappings", Json(std::vector<int>(27)),
         "manifest: block_device_mappings: has more than 26 elements"},
        {"/block_device_mappings/0/device", "/dev/vdA",
         "manifest: block_device_mappings[0].device: is not a device from /dev/vda to /dev/vdz"},
        {"/block_device_mappings/1/device", "/dev/vda", "manifest: block_device_mappings: names /dev/vda twice"},
        {"/block_device_mappings/0/size", 0,
         "manifest: block_device_mappings[0].size: is not between 512 and 70368744177664"},
        {"/block_device_mappings/0/size", -512,
         "manifest: block_device_mappings[0].size: is not between 512 and 70368744177664"},
        {"/block_device_mappings/0/size", too_large,
         "manifest: block_device_mappings[0].size: is not between 512 and 70368744177664"},
        {"/block_device_mappings/0/size", UINT64_MAX,
         "manifest: block_device_mappings[0].size: is not between 512 and 70368744177664"},
        {"/block_device_mappings/0/size", 513,
         "manifest: block_device_mappings[0].size: is not a multiple of 512 bytes"},
        {"/block_device_mappings/0/size", 1e9, "manifest: block_device_mappings[0].size: is not an integer"},
        {"/block_device_mappings/0/volume_type", "GP3",
         "manifest: block_device_mappings[0].volume_type: is not the name of a volume type"},
        {"/block_device_mappings/0/encrypted", 1, "manifest: block_device_mappings[0].encrypted: is not true or false"},
        {"/block_device_mappings/0/file_systems", Json::array(),
         "manifest: block_device_mappings[0].file_systems: does not begin with the one that is mounted at /"},
        {"/block_device_mappings/0/file_systems", Json(std::vector<int>(129)),
         "manifest: block_device_mappings[0].file_systems: has more than 128 elements"},
        {"/block_device_mappings/0/file_systems/0/mount", nullptr,
         "manifest: block_device_mappings[0].file_systems: does not begin with the one that is mounted at /"},
        {"/block_device_mappings/0/file_systems/0/filesystem", "ext4,x=y",
         "manifest: block_device_mappings[0].file_systems[0].filesystem: is not the name of a file system"},
        {"/block_device_mappings/0/file_systems/0/filesystem", "",
         "manifest: block_device_mappings[0].file_systems[0].filesystem: is not the name of a file system"},
        {"/block_device_mappings/0/file_systems/1/mount", "/a/../b",
         "manifest: block_device_mappings[0].file_systems[1].mount: is not an absolute path without \".\" and \"..\""},
        {"/block_device_mappings/0/file_systems/1/mount", "a",
         "manifest: block_device_mappings[0].file_systems[1].mount: is not an absolute path without \".\" and \"..\""},
        {"/block_device_mappings/1/file_systems/0/mount", "/boot/efi",
         "manifest: block_device_mappings: mounts two file systems at /boot/efi"},
        {"/block_device_mappings/1/file_systems/0/name", "a/b",
         "manifest: block_device_mappings[1].file_systems[0].name: is not the name of a partition or logical volume"},
        {"/launch/instance_type", "t3 small", "manifest: launch.instance_type: is not the name of an instance type"},
        {"/launch/minimum_memory", 0, "manifest: launch.minimum_memory: is not between 1 and 70368744177664"},
        {"/launch/accounts", "all", "manifest: launch.accounts: is not an array"},
        {"/launch/accounts/1", "12345", "manifest: launch.accounts: holds what is not an account of 12 digits"},
        {"/launch/accounts/1", 345678901234, "manifest: launch.accounts: holds what is not an account of 12 digits"},
        {"/launch/accounts/1", "210987654321", "manifest: launch.accounts: names an account twice"},
        {"/launch/accounts", Json(std::vector<int>(1001)), "manifest: launch.accounts: has more than 1000 elements"},
        {"/launch/deprecated_on", "2027-02-29", "manifest: launch.deprecated_on: is not a day like 2027-11-23"},
        {"/block_device_mappings/0/delete_on_termination", 1,
         "manifest: block_device_mappings[0].delete_on_termination: is not true or false"},
        {"/block_device_mappings/0/layers", Json::array(), "manifest: block_device_mappings[0].layers: is empty"},
        {"/block_device_mappings/0/layers", Json(std::vector<int>(129)),
         "manifest: block_device_mappings[0].layers: has more than 128 elements"},
        {"/block_device_mappings/0/layers/0/digest", "sha256:../../../etc/passwd",
         "manifest: block_device_mappings[0].layers[0].digest: is not \"sha256:\" and 64 lower-case hexadecimal "
         "digits"},
        {"/block_device_mappings/0/layers/0/size", 0,
         "manifest: block_device_mappings[0].layers[0].size: is not between 1 and 70368744177664"},
        {"/block_device_mappings/0/layers/1/size", 7, "manifest: block_device_mappings: gives one layer two sizes"},
        {"/block_device_mappings/0/layers/0/chunks", Json::array(),
         "manifest: block_device_mappings[0].layers[0].chunks: is not an object"},
        {"/block_device_mappings/0/layers/0/chunks/size", 3 << 20,
         "manifest: block_device_mappings[0].layers[0].chunks.size: is not a power of two"},
        {"/block_device_mappings/0/layers/0/chunks/size", 1 << 19,
         "manifest: block_device_mappings[0].layers[0].chunks.size: is not between 1048576 and 68719476736"},
        {"/block_device_mappings/0/layers/0/chunks/size", 1 << 25,
         "manifest: block_device_mappings[0].layers[0].chunks.digests: are not as many as the layer has chunks of "
         "that size"},
        {"/block_device_mappings/0/layers/0/chunks/digests", Json(std::vector<int>(1025)),
         "manifest: block_device_mappings[0].layers[0].chunks.digests: has more than 1024 elements"},
        {"/block_device_mappings/0/layers/0/chunks/digests/1", "sha256:1",
         "manifest: block_device_mappings[0].layers[0].chunks.digests[1]: is not a digest"},
        {"/block_device_mappings/0/layers/0/chunks/more", 1,
         "manifest: block_device_mappings[0].layers[0].chunks.more: is not a field that this version of Kiln knows"},
        {"/block_device_mappings/1/layers/0/chunks",
         {{"size", 1 << 22}, {"digests", {digest_of("c").to_string()}}},
         "manifest: block_device_mappings: gives one layer two lists of chunks"},
        {"/launch_permissions/public", "yes", "manifest: launch_permissions.public: is not true or false"},
        {"/software", Json(std::vector<int>(100'001)), "manifest: software: has more than 100000 elements"},
        {"/software/1/version", "", "manifest: software[1].version: is empty"},
        {"/software/0/name", "a\nb", "manifest: software[0].name: holds a control character"},
        {"/parent/name", "..", "manifest: parent.name: is not an image name"},
        {"/parent/manifest", "sha512:00",
         "manifest: parent.manifest: is not \"sha256:\" and 64 lower-case hexadecimal digits"},
        {"/source/kind", "thin air", "manifest: source.kind: is not one of the known values"},
        {"/source/instance", "i-1", "manifest: source.instance: is not an instance id"},
        {"/source/instance", nullptr,
         "manifest: source.kind: does not go with instance and consistency, which only an instance has"},
        {"/source/consistency", "hope", "manifest: source.consistency: is not one of the known values"},
        {"/created", "2026-02-30T00:00:00Z", "manifest: created: is not a time like 2026-11-23T17:44:58Z"},
        {"/created", "2026-02-03T24:00:00Z", "manifest: created: is not a time like 2026-11-23T17:44:58Z"},
        {"/created", "yesterday", "manifest: created: is not a time like 2026-11-23T17:44:58Z"},
        {"/owner", "12345678901x", "manifest: owner: is not an account of 12 digits"},
        {"/tags/stage", 1, "manifest: tags.stage: is not a string"},
        {"/tests/0/command", "", "manifest: tests[0].command: is empty"},
        {"/tests/0/status", 256, "manifest: tests[0].status: is not between 0 and 255"},
        {"/tests/0/pattern", "x", "manifest: tests[0].pattern: is not null, though this kind of test has none"},
        {"/tests/1/pattern", "", "manifest: tests[1].pattern: is empty"},
        {"/tests/1/timeout_seconds", 0, "manifest: tests[1].timeout_seconds: is not between 1 and 86400"},
        {"/tests/1/port", 80, "manifest: tests[1].port: is not null, though this kind of test has none"},
        {"/tests/2/port", 0, "manifest: tests[2].port: is not between 1 and 65535"},
        {"/tests/2/port", 65'536, "manifest: tests[2].port: is not between 1 and 65535"},
        {"/tests/2/body", "x", "manifest: tests[2].body: is not null, though this kind of test has none"},
        {"/tests/2/derived", nullptr, "manifest: tests[2].derived: is not true or false"},
        {"/tests/3/path", "hello", "manifest: tests[3].path: is not the path of a URL"},
        {"/tests/3/path", "/a b", "manifest: tests[3].path: is not the path of a URL"},
        {"/tests/3/path", "/a#b", "manifest: tests[3].path: is not the path of a URL"},
        {"/tests/3/path", "/ä", "manifest: tests[3].path: is not the path of a URL"},
        {"/tests/3/status", 99, "manifest: tests[3].status: is not between 100 and 599"},
        {"/tests/3/command", "id", "manifest: tests[3].command: is not null, though this kind of test has none"},
        {"/tests/3/kind", "smtp", "manifest: tests[3].kind: is not one of the known values"},
    };
    for (const Hostile& hostile : table) {
        Json json = to_json(sample_manifest());
        json[Json::json_pointer(hostile.pointer)] = hostile.value;
        EXPECT_EQ(hostile.complaint, complaint_about(json))
            << hostile.pointer << " = " << hostile.value.dump().substr(0, 80);
    }
}

TEST(Manifest, OnlyTheRootVolumeNeedsALayer)
{
    Json json = to_json(sample_manifest());
    json["block_device_mappings"][1]["layers"] = Json::array();
    EXPECT_TRUE(manifest_from_json(json).block_devices[1].layers.empty());
}

TEST(Manifest, RefusesHostileKeys)
{
    Json json = to_json(sample_manifest());
    json["tags"][std::string("\x1b]0;", 4)] = "x";
    EXPECT_EQ("manifest: tags.key: holds a control character", complaint_about(json));
    Json other = to_json(sample_manifest());
    other[std::string("\x1b[2J")] = 1;
    EXPECT_EQ("manifest: \\x1b[2J: is not a field that this version of Kiln knows", complaint_about(other));
    Json many = to_json(sample_manifest());
    for (int i = 0; i < 51; ++i) {
        many["tags"]["t" + std::to_string(i)] = "";
    }
    EXPECT_EQ("manifest: tags: has more than 50 tags", complaint_about(many));
}

TEST(Manifest, RefusesWhatIsNoObject)
{
    for (const Json& json : {Json(nullptr), Json(1), Json("x"), Json::array({1}), Json::object()}) {
        EXPECT_EQ("manifest: schema: is missing or not an integer", complaint_about(json));
    }
}

TEST(Manifest, AcceptsTheLimits)
{
    Manifest manifest = sample_manifest();
    manifest.block_devices.clear();
    for (char letter = 'a'; letter <= 'z'; ++letter) {
        BlockDeviceMapping mapping;
        mapping.device = std::string("/dev/vd") + letter;
        mapping.size = gibibytes(65'536);
        mapping.file_systems.resize(128, {"swap", "", ""});
        if (letter == 'a') {
            mapping.file_systems.front() = {"ext4", "/", ""};
        }
        mapping.layers.assign(128, {digest_of("x"), ByteSize(1)});
        manifest.block_devices.push_back(std::move(mapping));
    }
    manifest.software.assign(100'000, {"a", "1", ""});
    EXPECT_EQ(26U, manifest_from_json(to_json(manifest)).block_devices.size());
}

TEST(ImageName, KnowsGoodFromBad)
{
    for (const char* good : {"abc", "debian-12", "a.b_c-d", "0ad", "web.v2"}) {
        EXPECT_TRUE(is_image_name(good)) << good;
    }
    const std::string too_long(129, 'a');
    const std::vector<std::string> table{"",
                                         "ab",
                                         "-abc",
                                         "abc-",
                                         ".abc",
                                         "a..b",
                                         "Abc",
                                         "a b",
                                         "a/b",
                                         "a\nb",
                                         "abс" /* Cyrillic */,
                                         "a@b",
                                         "ami-0123456789abcdef0",
                                         too_long,
                                         std::string("a\0b", 3)};
    for (const std::string& bad : table) {
        EXPECT_FALSE(is_image_name(bad)) << bad;
    }
}

} // namespace
} // namespace kiln::bundle
