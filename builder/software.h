// SPDX-License-Identifier: Apache-2.0
// What is installed, read from the finished disk: the operating system and the packages.
#pragma once

#include "builder/appliance.h"
#include "builder/disk_set.h"
#include "core/json.h"

#include <string_view>
#include <vector>

namespace kiln::builder
{

// From the mounted root.
[[nodiscard]] Software read_software(Appliance& appliance);

// To keep it beside a layer, and back. Throws Error{io}.
[[nodiscard]] Json to_json(const Software& software);
[[nodiscard]] Software software_from_json(const Json& json);

// The parsers behind them, for hostile text; both throw Error{step_failed}.
// os-release(5): ID, VERSION_ID, PRETTY_NAME.
[[nodiscard]] OperatingSystem parse_os_release(std::string_view text);
// dpkg's status file (deb822): packages whose status is "install ok installed", sorted by name.
[[nodiscard]] std::vector<Package> parse_dpkg_status(std::string_view text);

} // namespace kiln::builder
