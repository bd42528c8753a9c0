// SPDX-License-Identifier: Apache-2.0
#include "launcher/control.h"

#include "core/error.h"
#include "core/interrupt.h"
#include "launcher/instance_store.h"
#include "launcher/program.h"
#include "launcher/qemu_process.h"

#include <fmt/format.h>

#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

constexpr std::chrono::seconds supervisor_start_limit{20};

// Connects; starts a supervisor when QEMU lives without one.
JsonSocket connect_to_supervisor(const Paths& paths, const std::string& id, const std::stop_token& stop)
{
    const InstancePaths files(paths, id);
    const Deadline deadline = in(supervisor_start_limit);
    for (bool started = false;;) {
        try {
            return JsonSocket::connect(files.control_socket, "the supervisor of " + id);
        } catch (const Error&) {
            throw_if_interrupted(stop);
            if (!find_qemu(files, id)) {
                throw Error(ErrorKind::launch, fmt::format("{} is not running", id),
                            "`kiln instance show` tells why; launch another with `kiln run`");
            }
            if (std::chrono::steady_clock::now() > deadline) {
                throw;
            }
            if (!std::exchange(started, true)) {
                start_supervisor(paths, id);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }
}

Error to_error(const Json& json, std::string_view what)
{
    const std::int64_t kind = integer_member(json, "kind", what);
    Error error(kind >= 0 && kind <= static_cast<int>(ErrorKind::interrupted) ? static_cast<ErrorKind>(kind)
                                                                              : ErrorKind::internal,
                string_member(json, "message", what), string_member(json, "hint", what));
    return error;
}

} // namespace

HeldAnswer ask_and_hold(const Paths& paths, const std::string& id, const Json& request, std::chrono::milliseconds limit,
                        const std::stop_token& stop)
{
    JsonSocket socket = connect_to_supervisor(paths, id, stop);
    const Deadline deadline = in(limit);
    socket.send(request, deadline);
    Json result = result_of(socket.receive(deadline, stop), "the supervisor's answer");
    return {std::move(result), std::move(socket)};
}

Json ask_supervisor(const Paths& paths, const std::string& id, const Json& request, std::chrono::milliseconds limit,
                    const std::stop_token& stop)
{
    return ask_and_hold(paths, id, request, limit, stop).result;
}

void start_supervisor(const Paths& paths, const std::string& id)
{
    const InstancePaths files(paths, id);
    const std::string program = supervisor_program();
    // Started twice removed, so that it is nobody's child and nobody has to reap it.
    const pid_t middle = ::fork();
    if (middle == 0) {
        try {
            start_detached({program, "supervise", id}, files.supervisor_log);
        } catch (...) {
            ::_exit(1);
        }
        ::_exit(0);
    }
    int status = 0;
    if (middle < 0 || ::waitpid(middle, &status, 0) != middle || status != 0) {
        throw Error(ErrorKind::launch, "the supervisor could not be started");
    }
}

Json result_of(const Json& answer, std::string_view what)
{
    if (answer.is_object() && answer.contains("error")) {
        throw to_error(answer.at("error"), what);
    }
    return member(answer, "result", what);
}

Json result_answer(Json result)
{
    return {{"result", std::move(result)}};
}

Json error_answer(const std::exception& error)
{
    const auto* ours = dynamic_cast<const Error*>(&error);
    return {{"error",
             {{"kind", static_cast<int>(ours != nullptr ? ours->kind() : ErrorKind::internal)},
              {"message", error.what()},
              {"hint", ours != nullptr ? ours->hint() : ""}}}};
}

} // namespace kiln::launcher
