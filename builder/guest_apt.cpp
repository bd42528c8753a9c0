// SPDX-License-Identifier: Apache-2.0
#include "builder/guest_apt.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr std::string_view native = "amd64";
constexpr std::string_view status_file = "/var/lib/dpkg/status";
constexpr std::size_t most_files = 64;        // of one kind
constexpr std::size_t largest_file = 1 << 20; // but for dpkg's status

class Reader
{
public:
    explicit Reader(Appliance& appliance) : appliance_(appliance) {}

    GuestAptReport read()
    {
        if (!appliance_.is_file(std::string(status_file))) {
            throw Error(ErrorKind::package, "the image has no dpkg, so packages can't be installed in it",
                        "`packages` steps need a Debian image");
        }
        report_.apt.status = appliance_.read_file(std::string(status_file));
        read_architectures();
        read_sources();
        read_trusted();
        read_pins();
        for (const std::string& setting : with_files("/etc/apt/apt.conf.d/*")) {
            static const std::regex own("[0-9]{2}(autoremove|debconf|mmdebstrap)");
            if (!std::regex_match(fs::path(setting).filename().native(), own)) {
                report_.ignored.push_back(fmt::format("{}: the image's apt settings are not used", setting));
            }
        }
        return std::move(report_);
    }

private:
    // A file, or a link to one, that is small enough.
    std::optional<std::string> find_content(const std::string& path)
    {
        std::string file = path;
        if (!appliance_.is_file(file)) {
            if (!appliance_.exists(file)) {
                return std::nullopt;
            }
            file = appliance_.run({"readlink", "-f", "--", path});
            file.erase(file.find_last_not_of('\n') + 1);
            if (!appliance_.is_file(file)) {
                return std::nullopt;
            }
        }
        std::string content = appliance_.read_file(file);
        if (content.size() > largest_file) {
            report_.ignored.push_back(printable(fmt::format("{}: the file is too large", path), false));
            return std::nullopt;
        }
        return content;
    }

    std::vector<std::string> with_files(const std::string& pattern)
    {
        std::vector<std::string> paths;
        for (const std::string& path : appliance_.glob(pattern)) {
            // apt's own rule for names in its folders.
            static const std::regex name("[A-Za-z0-9_.-]+");
            if (paths.size() < most_files && std::regex_match(fs::path(path).filename().native(), name)) {
                paths.push_back(path);
            }
        }
        std::ranges::sort(paths);
        return paths;
    }

    void read_architectures()
    {
        report_.apt.architectures = {std::string(native)};
        static const std::regex line("([a-z0-9][a-z0-9-]{0,30})\n");
        const std::string text = find_content("/var/lib/dpkg/arch").value_or("");
        for (auto match = std::sregex_iterator(text.begin(), text.end(), line); match != std::sregex_iterator();
             ++match) {
            if ((*match)[1].str() != native && report_.apt.architectures.size() < 8) {
                report_.apt.architectures.push_back((*match)[1]);
            }
        }
    }

    void read_sources()
    {
        AptSources read;
        if (const auto text = find_content("/etc/apt/sources.list")) {
            read_sources_list(*text, "/etc/apt/sources.list", native, read);
        }
        for (const std::string& path : with_files("/etc/apt/sources.list.d/*.list")) {
            read_sources_list(find_content(path).value_or(""), path, native, read);
        }
        for (const std::string& path : with_files("/etc/apt/sources.list.d/*.sources")) {
            read_deb822_sources(find_content(path).value_or(""), path, native, read);
        }
        for (AptSource& source : read.sources) {
            if (take_keys(source)) {
                report_.apt.sources.push_back(source);
            }
        }
        report_.ignored.insert(report_.ignored.begin(), read.ignored.begin(), read.ignored.end());
        if (report_.apt.sources.empty()) {
            throw Error(ErrorKind::package,
                        fmt::format("the image's apt has no archive that can be used{}{}",
                                    report_.ignored.empty() ? "" : ": ", join(report_.ignored, "; ")),
                        "add one to the recipe before the packages: `[[step]] apt_source = ...`");
        }
    }

    // Makes the source's keys files of ours. False when one is missing: to trust all others in its place is
    // not what the image says.
    bool take_keys(AptSource& source)
    {
        static const std::regex fingerprint("[0-9A-Fa-f]{40}!?");
        if (!source.key.empty()) {
            source.signed_by = {keep(source.key, ".asc")};
            return true;
        }
        for (std::string& entry : source.signed_by) {
            if (!entry.starts_with('/')) {
                if (!std::regex_match(entry, fingerprint)) {
                    report_.ignored.push_back(printable(
                        fmt::format("{}: \"signed-by\" {} is no path and no fingerprint", source.uris[0], entry),
                        false));
                    return false;
                }
                continue;
            }
            const auto content = find_content(entry);
            if (!content) {
                report_.ignored.push_back(
                    printable(fmt::format("{}: its keyring {} is not there", source.uris[0], entry), false));
                return false;
            }
            entry = keep(*content, entry.ends_with(".asc") ? ".asc" : ".gpg");
        }
        return true;
    }

    std::string keep(const std::string& content, std::string_view extension)
    {
        std::string name = digest_of(content).hex().substr(0, 16).append(extension);
        report_.apt.keyrings[name] = content;
        return name;
    }

    void read_trusted()
    {
        for (const char* pattern : {"/etc/apt/trusted.gpg.d/*.gpg", "/etc/apt/trusted.gpg.d/*.asc"}) {
            for (const std::string& path : with_files(pattern)) {
                if (const auto content = find_content(path)) {
                    report_.apt.trusted[fs::path(path).filename()] = *content;
                }
            }
        }
        if (const auto content = find_content("/etc/apt/trusted.gpg")) {
            report_.apt.trusted["trusted.gpg"] = *content;
        }
    }

    void read_pins()
    {
        if (const auto content = find_content("/etc/apt/preferences")) {
            report_.apt.preferences["00preferences"] = *content;
        }
        for (const std::string& path : with_files("/etc/apt/preferences.d/*")) {
            if (const auto content = find_content(path)) {
                report_.apt.preferences[fs::path(path).filename()] = *content;
            }
        }
    }

    Appliance& appliance_;
    GuestAptReport report_;
};

} // namespace

GuestAptReport read_guest_apt(Appliance& appliance)
{
    return Reader(appliance).read();
}

} // namespace kiln::builder
