// SPDX-License-Identifier: Apache-2.0
// A version as images carry it: MAJOR.MINOR.PATCH of Semantic Versioning 2.0.0, without pre-release
// or build parts (as EC2 Image Builder has it).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kiln
{

struct SemanticVersion {
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    std::uint32_t patch = 0;

    // NOLINTNEXTLINE(modernize-use-nullptr): what clang-tidy 14 sees is the comparison that is generated
    auto operator<=>(const SemanticVersion&) const = default;
    [[nodiscard]] std::string to_string() const;
};

// nullopt for anything but three numbers below 2^31 without leading zeros.
[[nodiscard]] std::optional<SemanticVersion> parse_semantic_version(std::string_view text);

// A version with right-hand wildcards: "1.4.x", "1.x.x", "x.x.x", or exact "1.4.2".
struct VersionPattern {
    std::optional<std::uint32_t> major;
    std::optional<std::uint32_t> minor;
    std::optional<std::uint32_t> patch;

    [[nodiscard]] bool matches(const SemanticVersion& version) const;
};
[[nodiscard]] std::optional<VersionPattern> parse_version_pattern(std::string_view text);

} // namespace kiln
