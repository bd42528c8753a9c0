// SPDX-License-Identifier: Apache-2.0
// User data for cloud-init: a NoCloud seed, a small FAT disk labelled CIDATA that the instance gets read-only.
// Source: cloud-init's documentation of the NoCloud data source.
#pragma once

#include "launcher/instance.h"

#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>

namespace kiln::launcher
{

// As EC2 has it, before any encoding.
inline constexpr ByteSize longest_user_data{16U << 10U};

// Throws Error{usage} when there is more of it, {missing_tool}.
void require_user_data(std::string_view user_data);

// What the guest learns of itself, as JSON, which is YAML too: its id, its name as the host name, the launch key.
[[nodiscard]] std::string seed_metadata(const Instance& instance, std::string_view public_key);

// Makes `seed` with mode 0600.
void make_seed(const std::filesystem::path& seed, const std::string& user_data, const std::string& metadata,
               const std::stop_token& stop);

} // namespace kiln::launcher
