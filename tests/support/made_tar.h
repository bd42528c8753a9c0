// SPDX-License-Identifier: Apache-2.0
// Tars written byte by byte, hostile ones too.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

namespace kiln::test
{

struct MadeMember {
    std::string name{};
    char type = '0';
    std::string content{};
    std::string target{};
    unsigned mode = 0644;
    std::optional<std::uint64_t> declared{}; // size, where it differs
};

// POSIX ustar.
inline std::string header_of(const MadeMember& member)
{
    std::string block(512, '\0');
    const auto put = [&](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
    put(0, member.name);
    put(100, fmt::format("{:07o}", member.mode));
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", member.declared.value_or(member.content.size())));
    put(136, "00000000000");
    put(148, "        ");
    block[156] = member.type;
    put(157, member.target);
    put(257, std::string("ustar\00000", 8));
    const unsigned sum = std::accumulate(block.begin(), block.end(), 0U,
                                         [](unsigned left, char c) { return left + static_cast<unsigned char>(c); });
    put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    return block;
}

inline std::string tar_of(const std::vector<MadeMember>& members)
{
    std::string tar;
    for (const MadeMember& member : members) {
        tar += header_of(member) + member.content;
        tar.resize((tar.size() + 511) / 512 * 512);
    }
    return tar + std::string(1024, '\0');
}

} // namespace kiln::test
