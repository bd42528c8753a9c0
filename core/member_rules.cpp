// SPDX-License-Identifier: Apache-2.0
#include "core/member_rules.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln
{
namespace
{

constexpr std::size_t longest_name = 4095; // PATH_MAX without its NUL
constexpr std::size_t longest_component = 255;

[[noreturn]] void refuse(std::string_view why)
{
    throw Error(ErrorKind::untrusted, std::string(why));
}

void require_plain_text(std::string_view text, std::string_view what)
{
    if (text.empty() || text.size() > longest_name) {
        refuse(fmt::format("its {} is empty or longer than {} bytes", what, longest_name));
    }
    if (printable(text, false) != text) {
        refuse(fmt::format("its {} holds control characters or bytes that are not UTF-8", what));
    }
}

} // namespace

std::string MemberRules::stripped(std::string_view name) const
{
    require_plain_text(name, "name");
    if (name.front() == '/') {
        refuse("its name is absolute");
    }
    std::string plain;
    int index = 0;
    while (!name.empty()) {
        const std::size_t end = std::min(name.find('/'), name.size());
        const std::string_view component = name.substr(0, end);
        name.remove_prefix(std::min(end + 1, name.size()));
        if (component.empty() || component == ".") {
            continue;
        }
        if (component == "..") {
            refuse("its name holds \"..\"");
        }
        if (component.size() > longest_component) {
            refuse(fmt::format("a part of its name is longer than {} bytes", longest_component));
        }
        if (index++ >= strip_) {
            plain += plain.empty() ? "" : "/";
            plain += component;
        }
    }
    return plain;
}

std::vector<std::string> MemberRules::require_folders_above(const std::string& name)
{
    std::vector<std::string> missing;
    for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
        const std::string above = name.substr(0, slash);
        const auto [place, added] = seen_.emplace(above, Seen::implied_folder);
        if (added) {
            missing.push_back(above);
        } else if (place->second == Seen::link) {
            refuse(fmt::format("it is below the symbolic link \"{}\"", above));
        } else if (place->second == Seen::file || place->second == Seen::device) {
            refuse(fmt::format("it is below the file \"{}\"", above));
        }
    }
    return missing;
}

std::optional<MemberRules::Accepted> MemberRules::accept(MemberKind kind, std::string_view name,
                                                         std::string_view target)
{
    Accepted accepted{.name = stripped(name), .target = {}, .missing_folders = {}};
    if (accepted.name.empty()) {
        return std::nullopt;
    }
    accepted.missing_folders = require_folders_above(accepted.name);
    if (kind == MemberKind::symbolic_link) {
        // Where it leads does not matter here: nothing is unpacked through it.
        require_plain_text(target, "target");
        accepted.target = target;
    } else if (kind == MemberKind::hard_link) {
        accepted.target = stripped(target);
        const auto aim = seen_.find(accepted.target);
        if (aim == seen_.end() || aim->second != Seen::file) {
            refuse("it is a hard link to something that is not an earlier file of the archive");
        }
    }
    const Seen as = kind == MemberKind::folder          ? Seen::folder
                    : kind == MemberKind::symbolic_link ? Seen::link
                    : kind == MemberKind::device        ? Seen::device
                                                        : Seen::file;
    const auto [place, added] = seen_.emplace(accepted.name, as);
    if (!added) {
        if (as != Seen::folder || place->second != Seen::implied_folder) {
            refuse("its name comes twice");
        }
        place->second = Seen::folder;
    }
    return accepted;
}

} // namespace kiln
