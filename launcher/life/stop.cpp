// SPDX-License-Identifier: Apache-2.0
// Stop, reboot, modify, and waiting for a state.
#include "core/error.h"
#include "core/interrupt.h"
#include "launcher/control.h"
#include "launcher/instance_type.h"
#include "launcher/life/attendance.h"
#include "launcher/life/life.h"
#include "launcher/life/life_lock.h"

#include <fmt/format.h>

#include <thread>

namespace kiln::launcher
{
namespace
{

using std::chrono::seconds;

constexpr seconds answer_limit{40};

void require_not_ending(const Instance& instance)
{
    if (instance.state == InstanceState::shutting_down || instance.state == InstanceState::terminated) {
        throw Error(ErrorKind::conflict, fmt::format("{} is {}", instance.id, name_of(instance.state)));
    }
}

seconds patience_of(const Paths& paths, const Instance& instance, const Asking& asking)
{
    return asking.operating_system ? asking.patience.value_or(shutdown_patience(paths, instance.accelerator))
                                   : seconds(0);
}

} // namespace

seconds shutdown_patience(const Paths& paths, Accelerator accelerator)
{
    return host_patience(paths, accelerator, accelerator == Accelerator::kvm ? seconds(60) : seconds(240));
}

void begin_stop(const Paths& paths, const std::string& id, const Asking& asking, const std::stop_token& stop)
{
    const InstancePaths files(paths, id);
    const FileLock lock = lock_life(files, stop);
    const Instance now = settle(files, id);
    require_not_ending(now);
    if (now.state == InstanceState::stopped) {
        return;
    }
    try {
        static_cast<void>(ask_supervisor(
            paths, id, {{"request", "shut-down"}, {"patience_seconds", patience_of(paths, now, asking).count()}},
            answer_limit, stop));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::launch || find_qemu(files, id)) {
            throw;
        }
        settle(files, id); // it ended by itself at that moment
    }
}

Instance wait_for_state(const Paths& paths, const std::string& id, InstanceState state, seconds limit,
                        const std::stop_token& stop)
{
    const auto deadline = std::chrono::steady_clock::now() + limit;
    Attendance attendance(paths, id);
    for (;;) {
        Instance instance = resolve_instance(paths, id);
        if (instance.state == InstanceState::pending || instance.state == InstanceState::stopping) {
            static_cast<void>(attendance.look());
        }
        // A supervisor that still has the lock is about to write down how it ended.
        if (instance.state == state && (state != InstanceState::stopped || !has_supervisor(InstancePaths(paths, id)))) {
            return resolve_instance(paths, id);
        }
        if (instance.state == InstanceState::terminated) {
            throw Error(ErrorKind::launch,
                        fmt::format("{} is {} and will not be {}", id, name_of(instance.state), name_of(state)));
        }
        if (std::chrono::steady_clock::now() > deadline) {
            throw Error(ErrorKind::launch, fmt::format("{} is still {} after {} s, not {}", id, name_of(instance.state),
                                                       limit.count(), name_of(state)));
        }
        throw_if_interrupted(stop);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

bool reboot(const Paths& paths, const Instance& instance, const Asking& asking, const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    seconds patience{};
    {
        const FileLock lock = lock_life(files, stop);
        const Instance now = settle(files, instance.id);
        if (now.state != InstanceState::running) {
            throw Error(ErrorKind::conflict, fmt::format("{} is {}", now.id, name_of(now.state)),
                        "only a running instance reboots");
        }
        patience = patience_of(paths, now, asking);
    }
    const Json answer =
        ask_supervisor(paths, instance.id, {{"request", "reboot"}, {"patience_seconds", patience.count()}},
                       patience + answer_limit, stop);
    return bool_member(answer, "by_itself", "the supervisor's answer");
}

Instance modify(const Paths& paths, const std::string& id, const Modification& modification,
                const std::stop_token& stop)
{
    const InstancePaths files(paths, id);
    std::optional<InstanceType> type;
    if (modification.type) {
        type = find_instance_type(*modification.type, user_types(paths));
    }
    const FileLock lock = lock_life(files, stop);
    const Instance now = settle(files, id);
    require_not_ending(now);
    if (type && now.state != InstanceState::stopped) {
        throw Error(ErrorKind::conflict,
                    fmt::format("the type of {} can't change while it is {}", id, name_of(now.state)),
                    fmt::format("`kiln instance stop {}` first", id));
    }
    return update_record(files, [&](Instance& instance) {
        if (type) {
            instance.type = type->name;
            instance.vcpus = type->vcpus;
            instance.memory = type->memory;
        }
        instance.shutdown_behavior = modification.shutdown_behavior.value_or(instance.shutdown_behavior);
        instance.termination_protection = modification.termination_protection.value_or(instance.termination_protection);
        append_event(files, "modified",
                     {{"type", instance.type},
                      {"instance_initiated_shutdown_behavior", name_of(instance.shutdown_behavior)},
                      {"disable_api_termination", instance.termination_protection}});
    });
}

} // namespace kiln::launcher
