// SPDX-License-Identifier: Apache-2.0
#include "launcher/life/life_lock.h"

#include "core/error.h"
#include "core/interrupt.h"
#include "core/timestamp.h"
#include "launcher/life/last_seen.h"

#include <fmt/format.h>

#include <thread>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;

constexpr std::chrono::seconds supervisor_limit{15};
constexpr std::chrono::minutes command_limit{15}; // more than the longest shutdown

std::string id_of(const InstancePaths& paths)
{
    return paths.folder.filename();
}

void require_there(const InstancePaths& paths)
{
    if (!fs::exists(paths.record)) {
        throw Error(ErrorKind::conflict, fmt::format("{} was terminated", id_of(paths)));
    }
}

} // namespace

FileLock lock_within(const fs::path& file, std::chrono::milliseconds limit, std::string_view busy,
                     const std::stop_token& stop)
{
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
        try {
            return {file, FileLock::Wait::fail, busy};
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::conflict || std::chrono::steady_clock::now() > deadline) {
                throw;
            }
        }
        throw_if_interrupted(stop);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

FileLock lock_life(const InstancePaths& paths, const std::stop_token& stop)
{
    require_there(paths); // the lock would be made anew
    try {
        FileLock lock = lock_within(paths.folder / "life.lock", command_limit,
                                    fmt::format("another command is at work on {}", id_of(paths)), stop);
        require_there(paths);
        return lock;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::interrupted) {
            require_there(paths); // its folder may be what went
        }
        throw;
    }
}

void wait_for_supervisor(const InstancePaths& paths)
{
    const auto deadline = std::chrono::steady_clock::now() + supervisor_limit;
    while (has_supervisor(paths) && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

Instance settle(const InstancePaths& paths, const std::string& id)
{
    const auto claims_to_run = [](const Instance& instance) {
        return instance.state == InstanceState::running || instance.state == InstanceState::stopping ||
               instance.state == InstanceState::pending;
    };
    Instance record = load_record(paths);
    if (!claims_to_run(record) || find_qemu(paths, id)) {
        return record;
    }
    wait_for_supervisor(paths);
    record = load_record(paths);
    if (!claims_to_run(record) || find_qemu(paths, id)) {
        return record;
    }
    const std::string ended = iso_time(last_seen(paths, record));
    const bool rebooted = !record.boot_id.empty() && record.boot_id != host_boot_id();
    const std::string reason = record.state == InstanceState::pending ? "its start was interrupted"
                               : rebooted                             ? "the host was rebooted while it ran"
                                          : "its QEMU is gone: it was killed, or it crashed";
    record = update_record(paths, [&](Instance& now) {
        now.state = InstanceState::stopped;
        now.state_reason = reason;
        now.state_reason_code = "Server.InternalError";
        append_event(paths, "stopped", {{"at", ended}, {"code", now.state_reason_code}, {"reason", reason}});
    });
    return record;
}

} // namespace kiln::launcher
