// SPDX-License-Identifier: Apache-2.0
// The members of a plain ustar archive, for tests that change one of them and write it again (made_tar.h).
#pragma once

#include "tests/support/made_tar.h"

#include <string>
#include <vector>

namespace kiln::test
{

inline std::vector<MadeMember> members_of(const std::string& tar)
{
    std::vector<MadeMember> members;
    for (std::size_t at = 0; at + 512 <= tar.size() && tar[at] != '\0';) {
        const std::string name = tar.substr(at, 100);
        const std::size_t size = std::stoull(tar.substr(at + 124, 11), nullptr, 8);
        members.push_back(
            {.name = name.substr(0, name.find('\0')), .type = tar[at + 156], .content = tar.substr(at + 512, size)});
        at += 512 + (size + 511) / 512 * 512;
    }
    return members;
}

} // namespace kiln::test
