// SPDX-License-Identifier: Apache-2.0
#include "core/machine_state.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <initializer_list>
#include <string>
#include <string_view>
#include <thread>

namespace kiln
{
namespace
{

constexpr const char* descriptor_name = "state";
constexpr const char* state_uri = "fd:state";

// The memory's file is the memory: it is not in the state.
void ignore_shared_memory(QmpClient& qmp)
{
    qmp.execute("migrate-set-capabilities",
                {{"capabilities", Json::array({{{"capability", "x-ignore-shared"}, {"state", true}}})}});
}

FileDescriptor open_state(const std::filesystem::path& file, int flags)
{
    FileDescriptor fd(::open(file.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", file.native()));
    }
    return fd;
}

void give_state_file(QmpClient& qmp, const FileDescriptor& file)
{
    qmp.execute_with_descriptor("getfd", {{"fdname", descriptor_name}}, file.get());
}

bool is_one_of(std::string_view status, std::initializer_list<std::string_view> wanted)
{
    return std::ranges::find(wanted, status) != wanted.end();
}

std::string member_or(const Json& answer, const char* name, const std::string& otherwise)
{
    return answer.is_object() && answer.contains(name) && answer.at(name).is_string()
               ? answer.at(name).get<std::string>()
               : otherwise;
}

// Returns when `command`, which answers with a "status", gives one of `done`.
void wait_for_status(QmpClient& qmp, const std::string& command, std::initializer_list<std::string_view> done,
                     std::initializer_list<std::string_view> failed, std::chrono::milliseconds limit)
{
    const Deadline deadline = in(limit);
    for (;;) {
        const Json answer = qmp.execute(command);
        const std::string status = member_or(answer, "status", "none");
        if (is_one_of(status, done)) {
            return;
        }
        if (is_one_of(status, failed) || std::chrono::steady_clock::now() > deadline) {
            const std::string why = member_or(answer, "error-desc", status);
            throw Error(ErrorKind::launch,
                        fmt::format("QEMU did not bring the machine's state over: {}", printable(why, false)));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

} // namespace

void save_machine_state(QmpClient& qmp, const std::filesystem::path& file, std::chrono::milliseconds limit)
{
    ignore_shared_memory(qmp);
    give_state_file(qmp, open_state(file, O_RDWR | O_CREAT | O_EXCL));
    qmp.execute("migrate", {{"uri", state_uri}});
    wait_for_status(qmp, "query-migrate", {"completed"}, {"failed", "cancelled"}, limit);
}

FileDescriptor open_machine_state(const std::filesystem::path& file)
{
    return open_state(file, O_RDONLY);
}

void load_machine_state(QmpClient& qmp, const FileDescriptor& state)
{
    ignore_shared_memory(qmp);
    give_state_file(qmp, state);
    qmp.execute("migrate-incoming", {{"uri", state_uri}});
}

void wait_until_loaded(QmpClient& qmp, std::chrono::milliseconds limit)
{
    wait_for_status(qmp, "query-status", {"running", "paused", "prelaunch", "postmigrate"},
                    {"internal-error", "io-error", "guest-panicked", "shutdown"}, limit);
}

} // namespace kiln
