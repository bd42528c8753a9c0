// SPDX-License-Identifier: Apache-2.0
#include "recipes/guest_checks.h"

#include <fmt/format.h>

namespace kiln::recipes
{

std::string shell_quoted(std::string_view text)
{
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') {
            out += "'\\''";
        } else {
            out += c;
        }
    }
    return out + "'";
}

std::string check_file(const FileCheck& check)
{
    std::string out = fmt::format("f={}\n", shell_quoted(check.path));
    if (check.absent) {
        return out + "if [ -e \"$f\" ] || [ -L \"$f\" ]; then echo \"$f is there\"; exit 1; fi\n";
    }
    out += "[ -e \"$f\" ] || { echo \"$f is missing\"; exit 1; }\nbad=0\n";
    const auto compare = [&](std::string_view what, std::string_view format, const std::string& wanted) {
        if (!wanted.empty()) {
            out += fmt::format("w={2}; v=$(stat -L -c {1} \"$f\"); [ \"$v\" = \"$w\" ] || "
                               "{{ echo \"$f has {0} $v instead of $w\"; bad=1; }}\n",
                               what, format, shell_quoted(wanted));
        }
    };
    compare("mode", "%a", check.mode ? fmt::format("{:o}", *check.mode) : std::string());
    compare("owner", "%U", check.owner);
    compare("group", "%G", check.group);
    if (!check.pattern.empty()) {
        out += fmt::format("p={}\ngrep -qE -e \"$p\" \"$f\" || {{ printf 'no line of %s matches %s\\n' \"$f\" \"$p\"; "
                           "bad=1; }}\n",
                           shell_quoted(check.pattern));
    }
    return out + "exit $bad\n";
}

std::string check_units(const std::vector<UnitCheck>& units)
{
    std::string names;
    std::string pairs;
    for (const UnitCheck& check : units) {
        names += " " + shell_quoted(check.unit);
        pairs += " " + shell_quoted(check.unit) + " " + check.state;
    }
    // `systemctl show` prints a block of KEY=VALUE lines for each unit, an empty line between them. A condition that
    // was never looked at is "no", too, but at no time.
    return fmt::format(R"(systemctl is-system-running --wait >/dev/null 2>&1
systemctl show -p ActiveState -p UnitFileState -p Type -p ConditionResult -p ConditionTimestampMonotonic --{} | (
    set --{}
    bad=0
    while [ $# -gt 0 ]; do
        active= file= type= condition= looked=0 wanted=$2
        while IFS='=' read -r key value && [ -n "$key" ]; do
            case $key in
                ActiveState) active=$value ;;
                UnitFileState) file=$value ;;
                Type) type=$value ;;
                ConditionResult) condition=$value ;;
                ConditionTimestampMonotonic) looked=$value ;;
            esac
        done
        case $file in enabled | enabled-runtime | static | alias | indirect | generated | linked) on=1 ;; *) on=0 ;; esac
        case $2 in
            running)
                wanted='active and enabled'
                [ "$active" = active ] && [ $on = 1 ] ;;
            enabled)
                wanted='enabled and started'
                [ $on = 1 ] && case $active in
                    active) true ;;
                    inactive) [ "$type" = oneshot ] || {{ [ "$condition" = no ] && [ "$looked" != 0 ]; }} ;;
                    *) false ;;
                esac ;;
            disabled) [ "$file" != enabled ] && [ "$file" != enabled-runtime ] ;;
            *) [ "$active" = "$2" ] || [ "$file" = "$2" ] ;;
        esac || {{ echo "$1 is ${{active:-unknown}} and ${{file:-not installed}}, not $wanted"; bad=1; }}
        shift 2
    done
    exit $bad
)
)",
                       names, pairs);
}

} // namespace kiln::recipes
