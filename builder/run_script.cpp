// SPDX-License-Identifier: Apache-2.0
#include "builder/run_script.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::builder
{
namespace
{

bool is_variable_name(std::string_view name)
{
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    return !name.empty() && is_letter(name.front()) &&
           std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

} // namespace

std::string start_script(const recipes::RunStep& step)
{
    std::string text = "export HOME=/root DEBIAN_FRONTEND=noninteractive\n";
    for (const auto& [name, value] : step.environment) {
        if (!is_variable_name(name)) {
            throw Error(ErrorKind::internal, fmt::format("\"{}\" is no name of an environment variable", name));
        }
        text += fmt::format("export {}={}\n", name, shell_quoted(value));
    }
    const char* shell = step.script.starts_with("#!") ? "" : "/bin/sh -e ";
    text += fmt::format("cd {0} && {1}{2}/script\necho $? >{2}/status\n", shell_quoted(step.folder), shell, run_folder);
    return text;
}

std::string runner_script()
{
    // A daemon that the script leaves behind holds the pipe open: the reader gets two seconds more. It is cat(1), which
    // writes what it has at once (head(1) would not), under a limit in sh's unit of 512 bytes.
    return fmt::format(R"(cd {} || exit 1
mkfifo output || exit 1
{{ (ulimit -f {}; cat >log); cat >/dev/null; }} <output >/dev/null 2>&1 &
reader=$!
timeout -k 10 "$1" /bin/sh ./start </dev/null >output 2>&1
echo $?
{{ sleep 2; kill $reader; }} >/dev/null 2>&1 &
wait $reader 2>/dev/null
kill $! 2>/dev/null
true
)",
                       run_folder, largest_output / 512);
}

} // namespace kiln::builder
