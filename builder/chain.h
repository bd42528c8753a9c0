// SPDX-License-Identifier: Apache-2.0
// How long the chains of disk layers get. Each layer costs whoever opens the disk a file, tables in memory and a
// look-up more for what is further down, and every child of an AMI adds one.
#pragma once

#include <cstddef>

namespace kiln::builder
{

// Of a disk that is built or sealed here. Readers take longer ones (bundle/manifest_reader.cpp).
inline constexpr std::size_t longest_chain = 16;

// How many of a parent's `layers`, from the bottom, stay as they are below a new layer: all of them as long as the
// chain does not get too long. Then only the lowest does, the largest as a rule, which the AMI goes on sharing with its
// relatives; the others are merged into the new one.
[[nodiscard]] constexpr std::size_t kept_below(std::size_t layers) noexcept
{
    return layers < longest_chain ? layers : 1;
}

} // namespace kiln::builder
