// SPDX-License-Identifier: Apache-2.0
// The commands' side of exec and copy_disks: requests to the supervisor and their answers.
#include "launcher/guest.h"

#include "core/error.h"
#include "launcher/control.h"
#include "signing/base64.h"

#include <algorithm>

namespace kiln::launcher
{
namespace
{

constexpr std::string_view what = "the supervisor's answer";
constexpr std::chrono::hours copy_limit{24};

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

DiskCopies copy_disks(const Paths& paths, const Instance& instance, const std::filesystem::path& into,
                      const std::stop_token& stop)
{
    const Json answer =
        ask_supervisor(paths, instance.id, {{"request", "copy-disks"}, {"into", into.native()}}, copy_limit, stop);
    DiskCopies copies;
    copies.consistency = string_member(answer, "consistency", what);
    copies.consistency_reason = string_member(answer, "consistency_reason", what);
    copies.frozen_for = std::chrono::milliseconds(integer_member(answer, "frozen_ms", what));
    for (const Json& copy : member(answer, "disks", what)) {
        const std::string device = string_member(copy, "device", what);
        const auto disk = std::ranges::find(instance.disks, device, &InstanceDisk::device);
        if (disk == instance.disks.end()) {
            throw Error(ErrorKind::launch, "the supervisor copied a disk that the instance does not have");
        }
        copies.disks.push_back({*disk, string_member(copy, "delta", what)});
    }
    return copies;
}

} // namespace kiln::launcher
