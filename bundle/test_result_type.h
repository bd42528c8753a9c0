// SPDX-License-Identifier: Apache-2.0
// What a test's result, attached to an image, is called: a statement of
// https://in-toto.io/attestation/test-result/v0.1.
#pragma once

#include <string_view>

namespace kiln::bundle
{

inline constexpr std::string_view test_result_artifact_type = "application/vnd.kiln.test-result.v1+json";

} // namespace kiln::bundle
