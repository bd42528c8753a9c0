// SPDX-License-Identifier: Apache-2.0
#include "builder/apt_sources.h"

#include "core/text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <optional>

namespace kiln::builder
{
namespace
{

constexpr std::size_t most_sources = 256;

// Also of a file that was written elsewhere.
std::string_view next_source_line(std::string_view& text)
{
    std::string_view line = next_line(text);
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
    }
    return line;
}

std::vector<std::string> words(std::string_view text)
{
    constexpr std::string_view white = " \t\n";
    std::vector<std::string> found;
    while (true) {
        const std::size_t begin = text.find_first_not_of(white);
        if (begin == text.npos) {
            return found;
        }
        text.remove_prefix(begin);
        const std::size_t end = std::min(text.find_first_of(white), text.size());
        found.emplace_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

std::string lower(std::string_view text)
{
    std::string result(text);
    std::ranges::transform(result, result.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    return result;
}

std::vector<std::string> split_at_commas(std::string_view text)
{
    std::string spaced(text);
    std::ranges::replace(spaced, ',', ' ');
    return words(spaced);
}

// Nothing that could end a line or a field of what is written for apt.
bool is_plain(const std::string& word)
{
    return !word.empty() && word.size() <= 1024 &&
           std::ranges::all_of(word, [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '[' && c != ']'; });
}

bool is_network(const std::string& uri)
{
    constexpr std::array<std::string_view, 4> schemes = {"http://", "https://", "mirror+http://", "mirror+https://"};
    return std::ranges::any_of(schemes, [&](std::string_view scheme) { return uri.starts_with(scheme); });
}

bool is_false(const std::string& value)
{
    return value == "no" || value == "false" || value == "without" || value == "off" || value == "disable";
}

// One source, however it was written: its fields with lower-case names, checked on the way in.
class Reader
{
public:
    Reader(std::string place, std::string_view architecture, AptSources& sources)
        : place_(std::move(place)), architecture_(architecture), sources_(sources)
    {
    }

    void option(const std::string& name, const std::string& value)
    {
        if (name == "architectures" || name == "arch") {
            const std::vector<std::string> list = split_at_commas(value);
            for_us_ = std::ranges::find(list, architecture_) != list.end();
        } else if (name == "signed-by") {
            read_signed_by(value);
        } else if (name == "check-valid-until") {
            source_.check_valid_until = !is_false(lower(value));
        } else if (name == "trusted" || name.starts_with("allow-") || name == "check-date") {
            ignore(fmt::format("\"{}\" is not honoured, signatures are always checked", name));
        } // the rest (languages, targets, pdiffs, ...) changes nothing about which packages there are
    }

    void add(const std::vector<std::string>& uris, const std::vector<std::string>& suites,
             const std::vector<std::string>& components)
    {
        for (const std::string& uri : uris) {
            if (is_network(uri) && is_plain(uri)) {
                source_.uris.push_back(uri);
            } else {
                ignore(fmt::format("{} is not an archive over HTTP", uri));
            }
        }
        const auto all_plain = [](const std::vector<std::string>& list) { return std::ranges::all_of(list, is_plain); };
        const bool flat = std::ranges::any_of(suites, [](const std::string& s) { return s.ends_with('/'); });
        if (suites.empty() || !all_plain(suites) || !all_plain(components) || flat != components.empty()) {
            ignore("the suite or the components are wrong");
            return;
        }
        if (!for_us_ || source_.uris.empty() || unusable_) {
            return;
        }
        if (sources_.sources.size() >= most_sources) {
            ignore("there are too many sources");
            return;
        }
        source_.suites = suites;
        source_.components = components;
        sources_.sources.push_back(std::move(source_));
    }

    void ignore(const std::string& why)
    {
        if (sources_.ignored.size() < most_sources) {
            sources_.ignored.push_back(printable(fmt::format("{}: {}", place_, why), false));
        }
    }

private:
    void read_signed_by(const std::string& value)
    {
        constexpr std::string_view begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
        if (value.find(begin) != value.npos) {
            source_.key = value;
            return;
        }
        for (const std::string& entry : split_at_commas(value)) {
            if (is_plain(entry)) {
                source_.signed_by.push_back(entry);
            }
        }
        if (source_.signed_by.empty()) {
            ignore("\"signed-by\" is wrong");
            unusable_ = true; // rather than to trust every key
        }
    }

    std::string place_;
    std::string_view architecture_;
    AptSources& sources_;
    AptSource source_;
    bool for_us_ = true;
    bool unusable_ = false;
};

void read_line(std::string_view line, Reader& reader)
{
    line.remove_prefix(std::string_view("deb").size());
    const std::size_t bracket = line.find_first_not_of(" \t");
    if (bracket != line.npos && line[bracket] == '[') {
        const std::size_t end = line.find(']');
        if (end == line.npos) {
            reader.ignore("'[' has no ']'");
            return;
        }
        for (const std::string& pair : words(line.substr(bracket + 1, end - bracket - 1))) {
            std::size_t equals = std::min(pair.find('='), pair.size());
            const std::string value = equals < pair.size() ? pair.substr(equals + 1) : "";
            if (equals > 0 && (pair[equals - 1] == '+' || pair[equals - 1] == '-')) {
                --equals; // "arch+=i386" adds to the default, "arch-=" takes away
                if (pair.starts_with("arch+")) {
                    continue;
                }
            }
            reader.option(lower(pair.substr(0, equals)), value);
        }
        line.remove_prefix(end + 1);
    }
    const std::vector<std::string> rest = words(line);
    if (rest.size() < 2) {
        reader.ignore("the line has no suite");
        return;
    }
    reader.add({rest[0]}, {rest[1]}, {rest.begin() + 2, rest.end()});
}

using Fields = std::map<std::string, std::string>;

void read_stanza(const Fields& fields, Reader& reader)
{
    const auto field = [&](const char* name) {
        const auto found = fields.find(name);
        return found != fields.end() ? found->second : std::string{};
    };
    const std::vector<std::string> types = words(field("types"));
    if (std::ranges::find(types, "deb") == types.end() || is_false(lower(field("enabled")))) {
        return;
    }
    for (const auto& [name, value] : fields) {
        reader.option(name, value);
    }
    reader.add(words(field("uris")), words(field("suites")), words(field("components")));
}

} // namespace

void read_sources_list(std::string_view text, std::string_view file, std::string_view architecture, AptSources& sources)
{
    for (int number = 1; !text.empty(); ++number) {
        std::string_view line = next_source_line(text);
        line = line.substr(0, line.find('#'));
        const std::vector<std::string> first = words(line.substr(0, line.find('[')));
        Reader reader(fmt::format("{}:{}", file, number), architecture, sources);
        if (first.empty() || first[0] == "deb-src") {
            continue;
        }
        if (first[0] != "deb") {
            reader.ignore("the line is not understood");
            continue;
        }
        line.remove_prefix(line.find("deb"));
        read_line(line, reader);
    }
}

void read_deb822_sources(std::string_view text, std::string_view file, std::string_view architecture,
                         AptSources& sources)
{
    Fields fields;
    std::string current;
    int number = 0;
    int begun = 1;
    const auto end_stanza = [&] {
        if (!fields.empty()) {
            Reader reader(fmt::format("{}:{}", file, begun), architecture, sources);
            read_stanza(fields, reader);
        }
        fields.clear();
        current.clear();
    };
    while (!text.empty()) {
        const std::string_view line = next_source_line(text);
        ++number;
        if (line.starts_with('#')) {
            continue;
        }
        if (line.find_first_not_of(" \t") == line.npos) {
            end_stanza();
        } else if (line.front() == ' ' || line.front() == '\t') {
            if (!current.empty()) {
                const std::string_view more = line.substr(1);
                fields[current] += '\n';
                fields[current] += more == "." ? std::string_view{} : more;
            }
        } else if (const std::size_t colon = line.find(':'); colon != line.npos) {
            begun = fields.empty() ? number : begun;
            current = lower(line.substr(0, colon));
            const std::string_view value = line.substr(colon + 1);
            const std::size_t first = value.find_first_not_of(" \t");
            fields[current] = first == value.npos ? std::string_view{}
                                                  : value.substr(first, value.find_last_not_of(" \t") + 1 - first);
        }
    }
    end_stanza();
}

std::string to_deb822(const AptSource& source)
{
    std::string text =
        fmt::format("Types: deb\nURIs: {}\nSuites: {}\n", join(source.uris, " "), join(source.suites, " "));
    if (!source.components.empty()) {
        text += fmt::format("Components: {}\n", join(source.components, " "));
    }
    if (!source.signed_by.empty()) {
        text += fmt::format("Signed-By: {}\n", join(source.signed_by, " "));
    }
    if (!source.check_valid_until) {
        text += "Check-Valid-Until: no\n";
    }
    return text + "\n";
}

} // namespace kiln::builder
