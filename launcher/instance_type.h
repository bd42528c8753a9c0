// SPDX-License-Identifier: Apache-2.0
// Instance types, from the data file launcher/instance-types.json and the user's own, KILN_HOME/instance-types.json.
#pragma once

#include "bundle/manifest.h"
#include "core/byte_size.h"
#include "core/paths.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

struct InstanceType {
    std::string name; // "t3.small"
    unsigned vcpus = 1;
    ByteSize memory;
    std::string family;     // "t3"
    std::int64_t price = 0; // for an hour, in millionths of the currency
};

// "0.0208" as millionths, and back; nullopt for what is no price or finer than that.
[[nodiscard]] std::optional<std::int64_t> parse_price(std::string_view text);
[[nodiscard]] std::string price_text(std::int64_t millionths);
// Of all prices: "USD".
[[nodiscard]] std::string currency();

// The user's own file of types, which need not exist.
[[nodiscard]] std::filesystem::path user_types(const Paths& paths);

// All types, smallest first. Throws Error{missing_tool, io}, also for a type of the user's with a name that is taken.
[[nodiscard]] std::vector<InstanceType> load_instance_types(const std::filesystem::path& additions = {});

// Throws Error{not_found} with a near miss and the list of types.
[[nodiscard]] InstanceType find_instance_type(std::string_view name, const std::filesystem::path& additions = {});

// What a launch takes: the type asked for, else the AMI's own, else a t3.small, else the smallest that has the memory
// that the AMI needs. Throws Error{usage} for a type with less than that, {not_found} for one that does not exist.
[[nodiscard]] InstanceType choose_instance_type(const std::optional<std::string>& asked,
                                                const bundle::LaunchDefaults& launch,
                                                const std::filesystem::path& additions = {});

} // namespace kiln::launcher
