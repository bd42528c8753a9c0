// SPDX-License-Identifier: Apache-2.0
// User data for cloud-init, which the guest reads from its metadata service.
#pragma once

#include "core/byte_size.h"

#include <string_view>

namespace kiln::launcher
{

// As EC2 has it, before any encoding.
inline constexpr ByteSize longest_user_data{16U << 10U};

// What cloud-init takes it for, by how it begins (cloudinit/user_data.py, handlers/__init__.py, 22.4). Kiln passes
// every kind on as it is; the guest's cloud-init does the rest.
enum class UserDataKind { script, cloud_config, multipart, gzip, include, boothook, other };
[[nodiscard]] std::string_view name_of(UserDataKind kind) noexcept; // "cloud-config"
[[nodiscard]] UserDataKind kind_of_user_data(std::string_view user_data);

// Throws Error{usage} when there is more of it than longest_user_data.
void require_user_data(std::string_view user_data);

} // namespace kiln::launcher
