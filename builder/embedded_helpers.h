// SPDX-License-Identifier: Apache-2.0
// The two small programs of builder/appliance_helpers as bytes: no installed file has to be found.
#pragma once

#include <string_view>

namespace kiln::builder
{

[[nodiscard]] std::string_view qemu_wrapper_program(); // runs on the host
[[nodiscard]] std::string_view wake_program();         // static, runs in the appliance

} // namespace kiln::builder
