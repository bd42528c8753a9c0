// SPDX-License-Identifier: Apache-2.0
// Internal: what the instance metadata service knows of an instance, as EC2's service has it (EC2 User Guide,
// "Instance metadata categories"): a pure function of the instance.
#pragma once

#include "launcher/instance.h"
#include "launcher/vpc/vpc.h"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

// Each has the same content.
inline constexpr std::array<std::string_view, 5> metadata_versions{"2009-04-04", "2016-09-02", "2018-09-24",
                                                                   "2021-03-23", "latest"};

struct MetadataSource {
    Instance instance;
    std::string public_keys; // as authorized_keys has them: of the key pair if there is one, then of the launch
    std::optional<std::string> identity_signature{}; // of identity_document, base64
    std::optional<std::string> user_data;
    std::optional<Vpc> vpc{};
    std::vector<std::string> security_groups{}; // names
};

// Leaves by their path below a version: "meta-data/ami-id".
using MetadataTree = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] MetadataTree metadata_tree(const MetadataSource& source);

// What GET of `path` ("/latest/meta-data/") answers: a leaf, or the sorted list of what is in a folder, where a
// folder has a slash behind its name and a public key is "0=its-name". nullopt where there is nothing.
[[nodiscard]] std::optional<std::string> find_metadata(const MetadataTree& tree, std::string_view path);

// The instance identity document: JSON with EC2's keys.
[[nodiscard]] std::string identity_document(const Instance& instance);

} // namespace kiln::launcher
