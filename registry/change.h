// SPDX-License-Identifier: Apache-2.0
// What an image's holder changes after publishing. Each change becomes a signed event (signing/event.h).
#pragma once

#include "core/json.h"
#include "signing/keys.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

namespace action
{
inline constexpr std::string_view publish = "publish"; // the first event of an image
inline constexpr std::string_view copy = "copy";       // the first event of one from another region
inline constexpr std::string_view share = "share";
inline constexpr std::string_view unshare = "unshare";
inline constexpr std::string_view deprecate = "deprecate";
inline constexpr std::string_view disable = "disable";
inline constexpr std::string_view enable = "enable";
inline constexpr std::string_view deregister = "deregister";
inline constexpr std::string_view channel = "channel";
} // namespace action

struct Change {
    std::string action;
    Json arguments; // docs/trust.md
};

struct LaunchPermissions {
    bool everyone = false;
    std::vector<std::string> accounts{};
    std::vector<std::string> organizations{};
};

// Each throws Error{usage} for what is malformed.
[[nodiscard]] Change share_with(LaunchPermissions permissions);
[[nodiscard]] Change unshare_with(LaunchPermissions permissions);
// From `at` on, ISO 8601; nullopt: never.
[[nodiscard]] Change deprecate_at(const std::optional<std::string>& at);
[[nodiscard]] Change disable();
[[nodiscard]] Change enable();
[[nodiscard]] Change deregister();
// The images of a name share their channels: who gets one takes it from another.
[[nodiscard]] Change take_channel(const std::string& image_name, const std::string& channel);
[[nodiscard]] Change leave_channel(const std::string& image_name, const std::string& channel);

// Who signs a change.
struct Signer {
    std::string account;
    const signing::SecretKey& key;
};

// Where a copy came from.
struct CopySource {
    std::string region;
    std::string image; // its id there
};

} // namespace kiln::registry
