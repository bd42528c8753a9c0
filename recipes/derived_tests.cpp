// SPDX-License-Identifier: Apache-2.0
#include "recipes/derived_tests.h"

#include "recipes/guest_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

namespace kiln::recipes
{
namespace
{

constexpr std::chrono::seconds timeout{180};
constexpr std::size_t longest_word_list = 16'384; // bytes; a command of a test has at most 64 KiB

// In a list of words, " 'nginx' 'curl=7.88.1-10'".
std::string words_of(const std::vector<std::string>& words)
{
    std::string out;
    for (const std::string& word : words) {
        out += " " + shell_quoted(word);
    }
    return out;
}

// Cut where a command would become too long.
std::vector<std::vector<std::string>> in_groups(const std::vector<std::string>& words)
{
    std::vector<std::vector<std::string>> groups;
    std::size_t length = longest_word_list;
    for (const std::string& word : words) {
        length += word.size() + 3;
        if (length > longest_word_list) {
            groups.emplace_back();
            length = word.size() + 3;
        }
        groups.back().push_back(word);
    }
    return groups;
}

Test derived(std::string name, std::string command)
{
    return {
        .name = std::move(name), .check = RunTest{.command = std::move(command), .timeout = timeout}, .derived = true};
}

template <class Step, class Visitor> void for_each_step(const Recipe& recipe, Visitor visit)
{
    for (const auto& step : recipe.steps) {
        if (const auto* action = std::get_if<Step>(&step.action)) {
            visit(*action);
        }
    }
}

std::string name_of_package(const std::string& package)
{
    return package.substr(0, package.find('='));
}

// Every package that was asked for and not removed again, "nginx" or "nginx=1.22.1-9".
std::vector<std::string> packages_of(const Recipe& recipe)
{
    std::map<std::string, std::string> wanted;
    for (const std::string& package : recipe.packages) {
        wanted.insert_or_assign(name_of_package(package), package);
    }
    for_each_step<PackagesStep>(recipe, [&](const PackagesStep& step) {
        for (const std::string& package : step.add) {
            wanted.insert_or_assign(name_of_package(package), package);
        }
        for (const std::string& package : step.remove) {
            wanted.erase(name_of_package(package));
        }
    });
    std::vector<std::string> packages;
    std::ranges::transform(wanted, std::back_inserter(packages), [](const auto& entry) { return entry.second; });
    return packages;
}

bool has_package(const Recipe& recipe, std::string_view name)
{
    const std::vector<std::string> packages = packages_of(recipe);
    return std::ranges::any_of(packages, [&](const std::string& package) { return name_of_package(package) == name; });
}

// A virtual package ("mail-transport-agent") is there when another one provides it.
std::string check_packages(const std::vector<std::string>& packages)
{
    std::vector<std::string> names;
    std::vector<std::string> wanted; // "nginx=": any version
    for (const std::string& package : packages) {
        names.push_back(name_of_package(package));
        wanted.push_back(package.find('=') == std::string::npos ? package + "=" : package + ";");
    }
    return fmt::format(R"(have=$(dpkg-query -W -f '${{db:Status-Status}} ${{Package}}=${{Version}};' --{} 2>/dev/null)
bad=0 provided=
for want in{}; do
    case ";$have" in *";installed $want"*) continue ;; esac
    name=${{want%%=*}}
    case ";$have" in
        *";installed $name="*)
            found=";$have"
            found=${{found#*";installed $name="}}
            version=${{want#*=}}
            echo "$name is ${{found%%;*}}, not ${{version%;}}"
            bad=1
            continue ;;
    esac
    [ -n "$provided" ] || provided=$(dpkg-query -W -f ', ${{Provides}}, ' | tr '(' ',')
    case $provided in
        *", $name, "* | *", $name ,"*) ;;
        *) echo "${{want%[=;]}} is not installed"; bad=1 ;;
    esac
done
exit $bad
)",
                       words_of(names), words_of(wanted));
}

// `getent` takes many keys at once and prints what it has of them.
std::string check_accounts(std::string_view database, std::string_view noun, const std::vector<std::string>& names)
{
    return fmt::format(R"(have=$(getent {} --{} | cut -d: -f1)
bad=0
for name in{}; do
    case "
$have
" in *"
$name
"*) ;; *) echo "there is no {} $name"; bad=1 ;; esac
done
exit $bad
)",
                       database, words_of(names), words_of(names), noun);
}

// What a part must have at least: file systems keep up to a tenth for themselves, xfs at least 64 MiB for its log,
// and partition tables, headers of LUKS and LVM and a boot partition need their place.
std::uint64_t least_bytes(const Volume& volume, const VolumePart& part)
{
    std::uint64_t bytes = volume.size.bytes();
    if (part.size) {
        bytes = part.size->bytes();
    } else {
        for (const VolumePart& other : volume.parts) {
            bytes -= other.size ? std::min(bytes, other.size->bytes()) : 0;
        }
    }
    const std::uint64_t kept = mebibytes(part.size ? 80 : 200).bytes();
    const std::uint64_t most = bytes / 10 * 9;
    return most > kept ? most - kept : 0;
}

// A file system that the guest mounts by itself.
bool is_mounted_at_boot(const VolumePart& part)
{
    return std::ranges::find(part.filesystem.options, "noauto") == part.filesystem.options.end();
}

std::string check_mounts(const Recipe& recipe)
{
    std::string calls;
    std::size_t swaps = 0;
    for (const Volume& volume : recipe.volumes) {
        for (const VolumePart& part : volume.parts) {
            if (!is_mounted_at_boot(part)) {
                continue;
            }
            if (part.filesystem.type == "swap") {
                ++swaps;
            } else if (!part.filesystem.mount.empty()) {
                calls += fmt::format("check {} {} {}\n", shell_quoted(part.filesystem.mount),
                                     shell_quoted(part.filesystem.type), least_bytes(volume, part));
            }
        }
    }
    if (swaps > 0) {
        calls +=
            fmt::format("n=$(($(wc -l </proc/swaps) - 1)); [ $n -ge {0} ] || {{ echo \"$n swap areas are in use, not "
                        "{0}\"; bad=1; }}\n",
                        swaps);
    }
    return calls.empty() ? calls
                         : fmt::format(R"(bad=0
check() {{
    (cd "$1") 2>/dev/null # mounts what is mounted at first use
    found=$(findmnt -bnro FSTYPE,SIZE --mountpoint "$1" | tail -n 1)
    size=${{found#* }}
    if [ -z "$found" ]; then echo "$1 is not mounted"
    elif [ "${{found% *}}" != "$2" ]; then echo "$1 is ${{found% *}}, not $2"
    elif [ "$size" -lt "$3" ]; then echo "$1 has $size bytes, not $3"
    else return; fi
    bad=1
}}
{}exit $bad
)",
                                       calls);
}

// The last step says what a unit is in the end.
std::vector<UnitCheck> units_of(const Recipe& recipe)
{
    std::map<std::string, std::string> states;
    for_each_step<ServiceStep>(recipe, [&](const ServiceStep& step) {
        const bool has_type = step.name.find('.') != std::string::npos;
        const std::string unit = has_type ? step.name : step.name + ".service";
        states.insert_or_assign(unit, step.state == ServiceStep::State::enabled    ? "enabled"
                                      : step.state == ServiceStep::State::disabled ? "disabled"
                                                                                   : "masked");
    });
    std::vector<UnitCheck> units;
    units.reserve(states.size());
    for (const auto& [unit, state] : states) {
        units.push_back({.unit = unit, .state = state});
    }
    return units;
}

// cloud-init sets the hostname anew in every instance.
bool keeps_hostname(const Recipe& recipe)
{
    return std::holds_alternative<BootstrapBase>(recipe.base) && !has_package(recipe, "cloud-init");
}

std::string check_system(const Recipe& recipe)
{
    std::string hostname;
    std::string timezone;
    for_each_step<HostnameStep>(recipe, [&](const HostnameStep& step) { hostname = step.name; });
    for_each_step<TimezoneStep>(recipe, [&](const TimezoneStep& step) { timezone = step.zone; });
    std::string out = fmt::format("bad=0\nv=$(uname -m); [ \"$v\" = {0} ] || {{ echo \"the architecture is $v, not "
                                  "{0}\"; bad=1; }}\n",
                                  recipe.architecture);
    if (!hostname.empty() && keeps_hostname(recipe)) {
        out +=
            fmt::format("w={}; v=$(cat /etc/hostname); [ \"$v\" = \"$w\" ] || {{ echo \"the hostname is $v, not $w\"; "
                        "bad=1; }}\n",
                        shell_quoted(hostname));
    }
    if (!timezone.empty()) {
        out += fmt::format(
            "w={}; [ /etc/localtime -ef \"/usr/share/zoneinfo/$w\" ] || {{ echo \"the time zone is $(readlink "
            "/etc/localtime), not $w\"; bad=1; }}\n",
            shell_quoted(timezone));
    }
    return out + "exit $bad\n";
}

} // namespace

bool wants_derived_tests(TableReader& root, const Recipe& recipe)
{
    const bool fallback =
        !std::holds_alternative<BootstrapBase>(recipe.base) || has_package(recipe, "qemu-guest-agent");
    return root.find_flag("derive_tests", fallback);
}

std::vector<Test> derive_tests(const Recipe& recipe)
{
    std::vector<Test> tests;
    for (const auto& packages : in_groups(packages_of(recipe))) {
        tests.push_back(derived("packages are installed", check_packages(packages)));
    }
    std::vector<std::string> users;
    std::vector<std::string> groups;
    for_each_step<UserStep>(recipe, [&](const UserStep& step) { users.push_back(step.name); });
    for_each_step<GroupStep>(recipe, [&](const GroupStep& step) { groups.push_back(step.name); });
    for (const auto& names : in_groups(users)) {
        tests.push_back(derived("users exist", check_accounts("passwd", "user", names)));
    }
    for (const auto& names : in_groups(groups)) {
        tests.push_back(derived("groups exist", check_accounts("group", "group", names)));
    }
    if (auto command = check_mounts(recipe); !command.empty()) {
        tests.push_back(derived("file systems are mounted", std::move(command)));
    }
    constexpr std::size_t units_in_a_test = 64; // with names of 255 bytes twice, 32 KiB
    const std::vector<UnitCheck> units = units_of(recipe);
    for (std::size_t first = 0; first < units.size(); first += units_in_a_test) {
        const auto begin = units.begin() + static_cast<std::ptrdiff_t>(first);
        const auto end = units.begin() + static_cast<std::ptrdiff_t>(std::min(units.size(), first + units_in_a_test));
        tests.push_back(derived("services are in their state", check_units({begin, end})));
    }
    tests.push_back(derived("architecture and settings", check_system(recipe)));
    return tests;
}

} // namespace kiln::recipes
