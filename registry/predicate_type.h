// SPDX-License-Identifier: Apache-2.0
// Private to registry/: what the in-toto statement of an attachment calls its document.
#pragma once

#include <string_view>

namespace kiln::registry
{

// Throws Error{internal} for an artifact type that is not one of an attachment.
[[nodiscard]] std::string_view predicate_type_of(std::string_view artifact_type);

} // namespace kiln::registry
