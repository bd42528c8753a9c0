// SPDX-License-Identifier: Apache-2.0
// User data for cloud-init, which the guest reads from its metadata service.
#pragma once

#include "core/byte_size.h"

#include <string_view>

namespace kiln::launcher
{

// As EC2 has it, before any encoding.
inline constexpr ByteSize longest_user_data{16U << 10U};

// Throws Error{usage} when there is more of it.
void require_user_data(std::string_view user_data);

} // namespace kiln::launcher
