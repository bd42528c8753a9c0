// SPDX-License-Identifier: Apache-2.0
// The AMI manifest: the config blob of the OCI artifact, canonical JSON, immutable once published.
// docs/bundle-format.md documents every field. It carries no AMI id: an id belongs to a region.
#pragma once

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

inline constexpr int manifest_schema = 1;

struct Software {
    std::string name;
    std::string version;
    std::string architecture;
};

struct LayerReference {
    Digest digest;
    ByteSize size; // of the blob
};

struct BlockDeviceMapping {
    std::string device; // "/dev/vda"
    ByteSize size;      // of the guest's disk
    std::string filesystem;
    std::string mount;
    bool delete_on_termination = true;
    std::vector<LayerReference> layers; // bottom first
};

struct Source {
    std::string kind; // "recipe" or "instance"
    // Of the resolved recipe; for an instance, the one that its AMI came from.
    std::optional<Digest> recipe;
    std::optional<std::string> instance;    // "i-..."
    std::optional<std::string> consistency; // of a snapshot: "filesystem" or "crash"
};

struct Parent {
    std::string name;
    SemanticVersion version;
    Digest manifest; // the parent's OCI manifest
};

// A test that came with the recipe, as the launcher runs it.
struct Test {
    std::string name;
    std::string kind;                  // "run" or "console"
    std::string command;               // of run: for /bin/sh -c
    std::int64_t status = 0;           // of run: the expected exit status
    std::optional<std::string> output; // of run: the expected trimmed standard output
    std::string pattern;               // of console: ECMAScript regular expression
    std::int64_t timeout_seconds = 60;
};

struct Manifest {
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
    std::vector<Software> software;
    std::optional<Parent> parent;
    Source source;
    std::string created; // ISO 8601
    std::string owner;   // account, 12 digits
    std::vector<Test> tests;
    std::map<std::string, std::string> tags;
};

[[nodiscard]] Json to_json(const Manifest& manifest);

// Checks every field of hostile JSON: types, names, sizes, digests. Throws Error{untrusted} that
// names the field; a newer schema says so.
[[nodiscard]] Manifest manifest_from_json(const Json& json);

// Lower-case letters, digits and inner "-", "." and "_"; 3 to 128 characters, as EC2 AMI names but
// stricter: no path, option, AMI id or confusable character can hide in one.
[[nodiscard]] bool is_image_name(std::string_view name);

} // namespace kiln::bundle
