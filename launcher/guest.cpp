// SPDX-License-Identifier: Apache-2.0
// The commands' side of exec: a request to the supervisor and its answer.
#include "launcher/guest.h"

#include "core/error.h"
#include "launcher/control.h"
#include "signing/base64.h"

namespace kiln::launcher
{
namespace
{

constexpr std::string_view what = "the supervisor's answer";

std::string decoded(const Json& answer, std::string_view key)
{
    return signing::parse_base64(string_member(answer, key, what)).value_or("");
}

} // namespace

ExecResult exec(const Paths& paths, const Instance& instance, const std::vector<std::string>& argv,
                const std::string& input, std::chrono::seconds timeout, const std::stop_token& stop)
{
    if (argv.empty()) {
        throw Error(ErrorKind::usage, "there is no command to run");
    }
    const Json request = {
        {"request", "exec"}, {"argv", argv}, {"input", signing::base64(input)}, {"timeout_seconds", timeout.count()}};
    const Json answer = ask_supervisor(paths, instance.id, request, timeout + std::chrono::seconds(60), stop);
    return {.status = static_cast<int>(integer_member(answer, "status", what)),
            .output = decoded(answer, "output"),
            .errors = decoded(answer, "errors"),
            .truncated = bool_member(answer, "truncated", what)};
}

} // namespace kiln::launcher
