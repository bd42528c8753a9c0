// SPDX-License-Identifier: Apache-2.0
#include "builder/system_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kiln::builder
{
namespace
{

// Each line with its newline, the last one perhaps without.
std::vector<std::string_view> lines_of(std::string_view text)
{
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t newline = text.find('\n');
        const std::size_t length = newline == text.npos ? text.size() : newline + 1;
        lines.push_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return lines;
}

std::string_view without_newline(std::string_view line)
{
    return line.ends_with('\n') ? line.substr(0, line.size() - 1) : line;
}

} // namespace

std::string with_own_name(std::string_view hosts, const std::string& name)
{
    const std::string label = name.substr(0, name.find('.'));
    const std::string own =
        label == name ? fmt::format("127.0.1.1 {}", name) : fmt::format("127.0.1.1 {} {}", name, label);
    std::string others;
    for (const std::string_view line : lines_of(hosts)) {
        if (!line.starts_with("127.0.1.1 ") && !line.starts_with("127.0.1.1\t")) {
            others += line;
        }
    }
    return with_line(others, own);
}

std::string unit_name(const std::string& name)
{
    constexpr std::array<std::string_view, 11> types{".service", ".socket", ".device", ".mount", ".automount", ".swap",
                                                     ".target",  ".path",   ".timer",  ".slice", ".scope"};
    const bool has_type = std::ranges::any_of(types, [&](std::string_view type) { return name.ends_with(type); });
    return has_type ? name : fmt::format("{}.service", name);
}

std::string supported_locale(std::string_view supported, std::string_view locale)
{
    for (const std::string_view line : lines_of(supported)) {
        if (line.starts_with(locale) && line.substr(locale.size()).starts_with(' ')) {
            return std::string(without_newline(line));
        }
    }
    return "";
}

std::string with_line(std::string_view text, std::string_view line)
{
    const std::vector<std::string_view> lines = lines_of(text);
    std::string result(text);
    if (std::ranges::find(lines, line, without_newline) == lines.end()) {
        const bool open_end = !text.empty() && !text.ends_with('\n');
        result += fmt::format("{}{}\n", open_end ? "\n" : "", line);
    }
    return result;
}

std::vector<std::string> certificates_of(std::string_view pem)
{
    constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----";
    constexpr std::string_view end = "-----END CERTIFICATE-----";
    std::vector<std::string> certificates;
    while (true) {
        const std::size_t first = pem.find(begin);
        const std::size_t last = first == pem.npos ? pem.npos : pem.find(end, first);
        if (last == pem.npos) {
            return certificates;
        }
        certificates.push_back(fmt::format("{}\n", pem.substr(first, last + end.size() - first)));
        pem.remove_prefix(last + end.size());
    }
}

} // namespace kiln::builder
