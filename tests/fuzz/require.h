// SPDX-License-Identifier: Apache-2.0
// What has to be true of every input, in any build type: the fuzzer keeps an input that breaks it.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace kiln::fuzz
{

inline void require(bool holds, const char* what)
{
    if (!holds) {
        (void)std::fprintf(stderr, "broken: %s\n", what);
        std::abort();
    }
}

} // namespace kiln::fuzz
