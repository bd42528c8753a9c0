// SPDX-License-Identifier: Apache-2.0
// Which members of a foreign archive may be unpacked, given those that came before. No input or output.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kiln
{

enum class MemberKind { folder, file, symbolic_link, hard_link, device };

class MemberRules
{
public:
    explicit MemberRules(int strip) : strip_(strip) {}

    struct Accepted {
        std::string name;                         // plain: no "." or "//"
        std::string target;                       // of a link; of a hard link as plain as `name`
        std::vector<std::string> missing_folders; // above it, which no member has named yet, outermost first
    };
    // nullopt when nothing is left of the name. Throws Error{untrusted}.
    [[nodiscard]] std::optional<Accepted> accept(MemberKind kind, std::string_view name, std::string_view target);

private:
    enum class Seen { implied_folder, folder, file, link, device };

    [[nodiscard]] std::string stripped(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> require_folders_above(const std::string& name);

    int strip_;
    std::unordered_map<std::string, Seen> seen_;
};

} // namespace kiln
