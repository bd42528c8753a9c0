// SPDX-License-Identifier: Apache-2.0
// Whether a file is one certificate in PEM, as update-ca-certificates(8) wants it.
#pragma once

#include "recipes/field_rules.h"

#include <optional>
#include <string>

namespace kiln::recipes
{

// nullopt when it is; X.509 by OpenSSL's reading, one in the file, no private key beside it.
[[nodiscard]] std::optional<Problem> check_certificate(const std::string& pem);

} // namespace kiln::recipes
