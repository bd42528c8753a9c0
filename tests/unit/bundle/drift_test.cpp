// SPDX-License-Identifier: Apache-2.0
// What a manifest says about a snapshot, there and back, and hostile.
#include "bundle/drift.h"
#include "bundle/manifest.h"
#include "core/error.h"
#include "tests/unit/bundle/sample_manifest.h"

#include <gtest/gtest.h>

namespace kiln::bundle
{
namespace
{

Drift sample_drift()
{
    return {.packages = {{"nginx-light", "amd64", "", "1.22"}, {"curl", "amd64", "1", "2"}},
            .files_added = {"/srv/a"},
            .files_removed = {"/etc/b"},
            .files_changed = {"/etc/c"},
            .files_omitted = 3,
            .users_added = {"web"},
            .users_removed = {"games"},
            .services_enabled = {"nginx.service"},
            .services_disabled = {"ssh.service"},
            .size_change = -5};
}

Json snapshot_json()
{
    Manifest manifest = test::sample_manifest();
    manifest.source.snapshot =
        SnapshotFacts{.consistency_reason = "no agent", .frozen_us = 1234, .exact = false, .drift = sample_drift()};
    manifest.schema = schema_for(manifest);
    return to_json(manifest);
}

TEST(SnapshotFacts, ThereAndBack)
{
    const Json json = snapshot_json();
    const Manifest read = manifest_from_json(json);
    ASSERT_TRUE(read.source.snapshot && read.source.snapshot->drift);
    EXPECT_EQ(read.source.snapshot->frozen_us, 1234);
    EXPECT_EQ(read.source.snapshot->drift->files_added, std::vector<std::string>{"/srv/a"});
    EXPECT_EQ(read.source.snapshot->drift->size_change, -5);
    EXPECT_EQ(to_json(read), json);
}

TEST(SnapshotFacts, WhatAGuestChoseFits)
{
    const std::string odd = "\xff\n\x1b{{ \"x\" }}";
    const std::string shown = R"(\xff\x0a\x1b{{ "x" }})";
    Drift drift = sample_drift();
    drift.packages = {{odd, std::string(1000, 'a'), "", odd}};
    drift.files_added = {odd, std::string(5000, '\n'), std::string(4095, 'a') + "\xc3\xa9"};
    drift.files_removed.resize(drift_files + 2, "/srv/x");
    drift.users_added = {odd};
    drift.services_disabled.resize(200'000, odd);
    Manifest manifest = test::sample_manifest();
    manifest.source.snapshot = SnapshotFacts{.consistency_reason = "", .frozen_us = 1, .drift = fitted(drift)};
    manifest.schema = schema_for(manifest);
    const Manifest read = manifest_from_json(parse_json(canonical_json(to_json(manifest)), "it"));
    const Drift& kept = read.source.snapshot->drift.value();
    EXPECT_EQ(kept.packages.at(0).name, shown);
    EXPECT_EQ(kept.packages.at(0).architecture.size(), 256U);
    EXPECT_EQ(kept.files_added, (std::vector<std::string>{shown, kept.files_added.at(1), std::string(4095, 'a')}));
    EXPECT_EQ(kept.files_added.at(1).size(), 4096U);
    EXPECT_EQ(kept.files_removed.size(), drift_files);
    EXPECT_EQ(kept.files_omitted, 3 + 2);
    EXPECT_EQ(kept.users_added, std::vector<std::string>{shown});
    EXPECT_EQ(kept.services_disabled.size(), drift_files);
}

TEST(SnapshotFacts, HostileOnesAreRefused)
{
    const std::vector<std::pair<std::string, Json>> changes = {
        {"/source/snapshot/frozen_us", -1},
        {"/source/snapshot/exact", "no"},
        {"/source/snapshot/more", 1},
        {"/source/snapshot/drift", Json::array()},
        {"/source/snapshot/drift/files_added", Json::array({1})},
        {"/source/snapshot/drift/files_added", Json::array({std::string(5000, 'x')})},
        {"/source/snapshot/drift/files_removed", Json::array({"/srv\n"})},
        {"/source/snapshot/drift/packages/0/name", "a\nb"},
        {"/source/snapshot/drift/size_change", "much"},
        {"/source/snapshot/drift/more", 1}};
    for (const auto& [pointer, value] : changes) {
        Json json = snapshot_json();
        json[Json::json_pointer(pointer)] = value;
        EXPECT_THROW(static_cast<void>(manifest_from_json(json)), Error) << pointer;
    }
}

} // namespace
} // namespace kiln::bundle
