// SPDX-License-Identifier: Apache-2.0
#include "builder/diff/tree_listing.h"

#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace kiln::builder
{
namespace
{

// The text up to `end`, which is taken off `text` with it.
std::string_view cut(std::string_view& text, char end)
{
    const std::size_t at = text.find(end);
    const std::string_view piece = text.substr(0, at);
    text.remove_prefix(at == text.npos ? text.size() : at + 1);
    return piece;
}

bool is_below_any(std::string_view path, std::initializer_list<std::string_view> folders)
{
    return std::ranges::any_of(folders, [&](std::string_view folder) {
        return path == folder || (path.starts_with(folder) && path.substr(folder.size()).starts_with('/'));
    });
}

} // namespace

Tree parse_listing(std::string_view text)
{
    Tree tree;
    while (!text.empty()) {
        std::string_view line = cut(text, '\0');
        const std::string_view type = cut(line, ' ');
        TreeEntry entry{.type = type.size() == 1 ? type[0] : '?',
                        .mode = std::string(cut(line, ' ')),
                        .owner = std::string(cut(line, ' '))};
        const std::string_view size = cut(line, ' ');
        const auto [end, failure] = std::from_chars(size.data(), size.data() + size.size(), entry.size);
        static_cast<void>(cut(line, ' ')); // times of modification and change only tell what may differ
        static_cast<void>(cut(line, ' '));
        if (failure == std::errc() && end == size.data() + size.size() && !line.empty()) {
            tree.insert_or_assign(std::string(line), std::move(entry));
        }
    }
    return tree;
}

TreeDiff diff_trees(const Tree& before, const Tree& after)
{
    TreeDiff diff;
    const auto add = [&](const TreeEntry& entry, int sign) {
        const std::int64_t size = entry.type == 'f' ? std::clamp<std::int64_t>(entry.size, 0, largest_size_change) : 0;
        diff.size_change = std::clamp(diff.size_change + sign * size, -largest_size_change, largest_size_change);
    };
    for (const auto& [path, old] : before) {
        add(old, -1);
        if (!after.contains(path)) {
            diff.files.push_back({.kind = FileChange::Kind::removed, .path = "/" + path, .package = {}});
        }
    }
    for (const auto& [path, now] : after) {
        add(now, 1);
        const auto old = before.find(path);
        if (old == before.end()) {
            diff.files.push_back({.kind = FileChange::Kind::added, .path = "/" + path, .package = {}});
            continue;
        }
        const TreeEntry& was = old->second;
        const bool content = now.type == 'f' || now.type == 'l';
        if (now.type != was.type || now.mode != was.mode || now.owner != was.owner ||
            (content && now.size != was.size)) {
            diff.files.push_back({.kind = FileChange::Kind::changed, .path = "/" + path, .package = {}});
        } else if (content) {
            diff.same_metadata.push_back(path);
        }
    }
    std::ranges::sort(diff.files, {}, &FileChange::path);
    return diff;
}

std::map<std::string, std::string> parse_digests(std::string_view text)
{
    std::map<std::string, std::string> digests;
    while (!text.empty()) {
        std::string_view line = cut(text, '\0');
        const std::string_view digest = cut(line, ' ');
        if (line.starts_with(" ./") || line.starts_with("*./")) {
            digests.insert_or_assign(std::string(line.substr(3)), std::string(digest));
        }
    }
    return digests;
}

std::map<std::string, std::string> parse_owned(std::string_view text)
{
    std::map<std::string, std::string> owned;
    std::string package;
    while (!text.empty()) {
        const std::string_view line = cut(text, '\n');
        if (line.starts_with('@')) {
            package = line.substr(1);
            continue;
        }
        if (line.size() < 2 || !line.starts_with('/')) {
            continue;
        }
        owned.insert_or_assign(std::string(line), package);
        // dpkg knows files where they were packed; they are in /usr where / has links to it.
        if (is_below_any(line, {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"})) {
            owned.insert_or_assign(fmt::format("/usr{}", line), package);
        }
    }
    return owned;
}

bool is_state(std::string_view path)
{
    constexpr std::array<std::string_view, 8> files{"/etc/ld.so.cache", "/etc/passwd-",      "/etc/group-",
                                                    "/etc/shadow-",     "/etc/gshadow-",     "/etc/.pwd.lock",
                                                    "/etc/mailcap",     "/boot/grub/grubenv"};
    return std::ranges::find(files, path) != files.end() ||
           is_below_any(path,
                        {"/var/log", "/var/cache", "/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd", "/var/lib/ucf",
                         "/var/lib/logrotate", "/var/lib/private", "/var/tmp", "/tmp", "/run", "/lost+found"});
}

std::string enabled_unit(std::string_view path)
{
    constexpr std::string_view folder = "/etc/systemd/system/";
    if (!path.starts_with(folder)) {
        return "";
    }
    std::string_view rest = path.substr(folder.size());
    const std::string_view target = cut(rest, '/');
    const bool enables = target.ends_with(".wants") || target.ends_with(".requires");
    return enables && !rest.empty() && rest.find('/') == rest.npos ? std::string(rest) : "";
}

} // namespace kiln::builder
