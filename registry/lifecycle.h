// SPDX-License-Identifier: Apache-2.0
// How an image's events add up to what the catalogue's row says: the one place that knows what an action does. Private
// to registry/. docs/trust.md lists actions and arguments.
#pragma once

#include "bundle/manifest.h"
#include "core/json.h"
#include "registry/change.h"
#include "registry/region.h"
#include "signing/event.h"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

namespace action
{
// The first event of an image that came in a file: {"name", "version", "architecture"}.
inline constexpr std::string_view import_bundle = "import";
} // namespace action

// EC2 has no such limit; the manifest's list has the same.
inline constexpr std::size_t most_launch_accounts = 1000;
inline constexpr std::size_t most_launch_organizations = 100;

// A new image's lifecycle before its first event: what its signed manifest says.
void start_lifecycle(Image& image, const bundle::Manifest& manifest);

// What lists can be filtered by and only the manifest has: Image::facts.
[[nodiscard]] std::map<std::string, std::string> facts_of(const bundle::Manifest& manifest);

// The arguments of the events that register an image. A copy belongs to whoever made it, and is private at first.
[[nodiscard]] Json publish_arguments(const Image& image);
[[nodiscard]] Json copy_arguments(const Image& image, const CopySource& source);

// Changes `image` as the event says. Throws Error{untrusted} for one that no Kiln would have signed, or that somebody
// else than the holder signed; a newer Kiln's says so.
void apply(Image& image, const signing::Event& event);

// The image as `events` (its own, in order, verified) and its manifest have it. Throws Error{untrusted}.
[[nodiscard]] Image image_of_events(const Image& row, const bundle::Manifest& manifest,
                                    std::span<const signing::ReadEvent> events);

// What the catalogue's row has that the events don't explain, for a person; empty when there is nothing.
[[nodiscard]] std::vector<std::string> unexplained(const Image& row, const Image& explained);

} // namespace kiln::registry
