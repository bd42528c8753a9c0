// SPDX-License-Identifier: Apache-2.0
// Internal: parts of the manifest's strict reader, each with the rules of docs/bundle-format.md.
#pragma once

#include "bundle/manifest.h"
#include "bundle/object_reader.h"

#include <initializer_list>
#include <string>
#include <string_view>

namespace kiln::bundle
{

[[nodiscard]] std::string read_word_of(ObjectReader& reader, const std::string& key,
                                       std::initializer_list<std::string_view> words);
[[nodiscard]] std::string read_filled(ObjectReader& reader, const std::string& key, std::size_t longest,
                                      Lines lines = Lines::one);

[[nodiscard]] Test read_test(ObjectReader reader);
[[nodiscard]] LaunchDefaults read_launch(ObjectReader reader, int schema);

} // namespace kiln::bundle
