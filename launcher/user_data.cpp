// SPDX-License-Identifier: Apache-2.0
#include "launcher/user_data.h"

#include "core/error.h"

#include <fmt/format.h>

namespace kiln::launcher
{

void require_user_data(std::string_view user_data)
{
    if (user_data.size() > longest_user_data.bytes()) {
        throw Error(ErrorKind::usage,
                    fmt::format("the user data has {} bytes; an instance takes up to {}", user_data.size(),
                                to_string(longest_user_data)),
                    "let a short script fetch the rest, or compress it with gzip, which cloud-init reads");
    }
}

} // namespace kiln::launcher
