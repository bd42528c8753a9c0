// SPDX-License-Identifier: Apache-2.0
// The AMI manifest: the config blob of the OCI artifact, canonical JSON, immutable once published.
// docs/bundle-format.md documents every field. It carries no AMI id: an id belongs to a region.
#pragma once

#include "bundle/drift.h"
#include "core/byte_size.h"
#include "core/digest.h"
#include "core/json.h"
#include "core/semantic_version.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::bundle
{

// The newest that is read, and all before it: 1 had no chunks, 2 knew no images that came from a foreign disk, and 3 no
// templates of warm launches.
inline constexpr int newest_manifest_schema = 4;

// The parts of a large layer, so that all processors can check it at once.
struct LayerChunks {
    ByteSize size; // of each but the last: a power of two
    std::vector<Digest> digests;
    bool operator==(const LayerChunks&) const = default;
};
inline constexpr ByteSize smallest_chunk = mebibytes(1);
inline constexpr ByteSize largest_chunk = gibibytes(64);
inline constexpr std::size_t most_chunks = 1024;

// The size of the chunks that a layer gets when it is published; nullopt for one that is no larger than a chunk.
[[nodiscard]] std::optional<ByteSize> chunk_size_for(ByteSize layer);

struct Software {
    std::string name;
    std::string version;
    std::string architecture;
};

struct LayerReference {
    Digest digest;
    ByteSize size;                       // of the blob
    std::optional<LayerChunks> chunks{}; // none: a small layer, or one of schema 1
};

// One file system of a volume: all of it, a partition, or a logical volume.
struct FileSystem {
    std::string type{};  // "ext4"
    std::string mount{}; // empty: not mounted, as swap
    std::string name{};  // of the partition or logical volume; empty: none
};

struct BlockDeviceMapping {
    std::string device{};                   // "/dev/vda"
    ByteSize size{};                        // of the guest's disk
    std::string volume_type = "gp3";        // EC2's
    bool encrypted = false;                 // LUKS2 around all that is on it
    std::vector<FileSystem> file_systems{}; // of the root device, the one at "/" first
    bool delete_on_termination = true;
    std::vector<LayerReference> layers{}; // bottom first; none: blank, never of the root device
};

// How a snapshot was taken.
struct SnapshotFacts {
    std::optional<std::string> consistency_reason{}; // why it is no better than "crash"
    std::int64_t frozen_us = 0;                      // how long the guest's file systems were frozen
    bool exact = false;                              // nothing was scrubbed: it is the instance, identity and all
    std::optional<Drift> drift{};                    // from the AMI of the instance; none: it was not compared
};

struct Source {
    std::string kind{}; // "recipe", "instance" or "disk"
    // Of the resolved recipe; for an instance, the one that its AMI came from.
    std::optional<Digest> recipe{};
    std::optional<std::string> instance{};    // "i-..."
    std::optional<std::string> consistency{}; // of a snapshot: "filesystem" or "crash"
    std::optional<Digest> disk{};             // of the foreign disk image that was imported, as it was
    std::optional<SnapshotFacts> snapshot{};  // from schema 3 on; none of an older one, or of what is no snapshot
};

struct Parent {
    std::string name;
    SemanticVersion version;
    Digest manifest; // the parent's OCI manifest
};

// A test that came with the recipe, as the launcher runs it. Regular expressions are ECMAScript's.
struct Test {
    std::string name{};
    std::string kind{};                  // "run", "console", "port", "http"
    bool derived = false;                // from the rest of the recipe, not written there as a test
    std::string command{};               // of run: for /bin/sh -c
    std::int64_t status = 0;             // of run: the expected exit status; of http: the status of the answer
    std::optional<std::string> output{}; // of run: the expected trimmed standard output
    std::string pattern{};               // of console: a regular expression
    std::uint16_t port = 0;              // of port and http: TCP, in the guest
    std::string path{};                  // of http: with its query
    std::optional<std::string> body{};   // of http: a regular expression
    std::int64_t timeout_seconds = 60;
};

// What a launch goes by; the catalogue has the launch permissions of everyone.
struct LaunchDefaults {
    std::optional<std::string> instance_type{};
    std::optional<ByteSize> minimum_memory{};
    std::vector<std::string> accounts{};        // that may launch it, besides the owner
    std::optional<std::string> deprecated_on{}; // "2027-11-23"
    bool warm = false;                          // a test of it leaves a template of warm launches; from schema 4 on
};

struct Manifest {
    int schema = 2; // of one that was read; publishing takes schema_for()
    std::string name;
    SemanticVersion version;
    std::string description;
    std::string architecture; // "x86_64"
    std::string boot_mode = "bios";
    std::string os_distribution;
    std::string os_version;
    std::string os_name;
    std::string root_device;
    std::vector<BlockDeviceMapping> block_devices; // the root device first
    bool launch_public = false;                    // initial launch permission
    LaunchDefaults launch;
    std::vector<Software> software;
    std::optional<Parent> parent;
    Source source;
    std::string created; // ISO 8601
    std::string owner;   // account, 12 digits
    std::vector<Test> tests;
    std::map<std::string, std::string> tags;
};

// In the manifest's schema, without what that does not have.
[[nodiscard]] Json to_json(const Manifest& manifest);

// The oldest schema that has all that the manifest says, so that an older Kiln reads it wherever it can.
[[nodiscard]] int schema_for(const Manifest& manifest);

// Checks every field of hostile JSON: types, names, sizes, digests. Throws Error{untrusted} that
// names the field; a newer schema says so.
[[nodiscard]] Manifest manifest_from_json(const Json& json);

// Lower-case letters, digits and inner "-", "." and "_"; 3 to 128 characters, as EC2 AMI names but
// stricter: no path, option, AMI id or confusable character can hide in one.
[[nodiscard]] bool is_image_name(std::string_view name);

} // namespace kiln::bundle
