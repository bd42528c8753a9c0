// SPDX-License-Identifier: Apache-2.0
#include "launcher/snapshot/guest_freeze.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <utility>

namespace kiln::launcher
{
namespace
{

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds hook_limit{120};
constexpr seconds answer_limit{10};
constexpr int no_fsfreeze = 64;
constexpr int hook_failed = 65;

// Each program that starts costs a guest without KVM 30 ms. So there is one sync, and it takes the shell's place: the
// dirty data, that the freeze would have to wait for, is written while the watchdog starts, which else would have the
// guest's time when it is frozen. The watchdog's pid is told. $2 is the pid of one that this one takes the place of, or
// 0: the first time, when the hooks run. Reading is possible while a file system is frozen, so that the watchdog's
// programs can be loaded.
constexpr const char* before_freeze = R"sh(command -v fsfreeze >/dev/null || exit 64
if [ "$2" = 0 ]; then
for hook in /etc/kiln/snapshot.d/*; do
[ -f "$hook" ] && [ -x "$hook" ] || continue
"$hook" freeze || { echo "$hook exited with $?" >&2; exit 65; }
done >/dev/null
else
kill "$2" 2>/dev/null
fi
(
sleep "$1"
while read -r device folder rest; do
case $device in [/]*) fsfreeze -u "$(printf %b "$folder")" ;; esac
done </proc/self/mounts
) </dev/null >/dev/null 2>&1 &
echo $!
exec sync)sh";

constexpr const char* after_thaw = R"sh([ "$1" = 0 ] || kill "$1" 2>/dev/null
for hook in /etc/kiln/snapshot.d/*; do
[ -f "$hook" ] && [ -x "$hook" ] && "$hook" thaw
done
exit 0)sh";

} // namespace

GuestFreeze::GuestFreeze(GuestAgent& agent, const std::function<bool()>& cancelled, milliseconds brief)
    : agent_(agent), cancelled_(cancelled)
{
    if (!agent_.answers(answer_limit)) {
        consistency_.reason = "the guest agent does not answer";
        return;
    }
    try {
        prepare(brief);
    } catch (...) {
        run_thaw_hooks();
        throw;
    }
}

GuestFreeze::~GuestFreeze()
{
    try {
        thaw();
    } catch (const Error&) { // the agent does not answer; the watchdog in the guest thaws
    }
    run_thaw_hooks();
}

// Again where it took long, by hooks or much dirty data: with a watchdog that has its whole time, and little to write.
void GuestFreeze::prepare(milliseconds brief)
{
    const auto began = steady_clock::now();
    hooks_ran_ = true;
    if (start_watchdog_and_sync() && steady_clock::now() - began > brief) {
        static_cast<void>(start_watchdog_and_sync());
    }
}

bool GuestFreeze::start_watchdog_and_sync()
{
    ExecResult result;
    try {
        result = agent_.exec({"/bin/sh", "-c", before_freeze, "kiln-freeze", std::to_string(freeze_watchdog.count()),
                              std::to_string(watchdog_)},
                             {}, hook_limit, cancelled_);
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::interrupted) {
            throw;
        }
        consistency_.reason = error.what();
        return false;
    }
    if (result.status == hook_failed) {
        throw Error(ErrorKind::launch,
                    fmt::format("a hook in the guest failed: {}", tail_in_one_line(printable(result.errors, true), 3)),
                    "mend it in the guest's /etc/kiln/snapshot.d, or snapshot with --no-freeze");
    }
    if (result.status != 0) {
        consistency_.reason = result.status == no_fsfreeze ? "the guest has no program fsfreeze, so that nothing would "
                                                             "thaw it if its agent died"
                                                           : "the guest could not write its dirty data";
        return false;
    }
    const std::string_view pid = result.output;
    watchdog_ = 0;
    std::from_chars(pid.data(), pid.data() + pid.size(), watchdog_);
    if (watchdog_ <= 1) {
        watchdog_ = 0;
        consistency_.reason = "the guest did not tell its watchdog, so that nothing would thaw it if its agent died";
    }
    return watchdog_ != 0;
}

void GuestFreeze::freeze()
{
    if (!consistency_.reason.empty()) {
        return;
    }
    started_ = steady_clock::now();
    thawed_ = false;
    try {
        frozen_ = agent_.freeze(answer_limit);
        consistency_.kind = frozen_ > 0 ? "filesystem" : "crash";
        consistency_.reason = frozen_ > 0 ? "" : "the guest has no file system that can be frozen";
    } catch (const Error& error) {
        consistency_.reason = error.what();
    }
}

void GuestFreeze::thaw()
{
    if (std::exchange(thawed_, true)) {
        return;
    }
    std::int64_t thawed = 0;
    try {
        thawed = agent_.thaw(answer_limit);
    } catch (const Error& error) {
        if (frozen_ > 0) {
            throw Error(ErrorKind::launch, fmt::format("the guest could not be thawed: {}", error.what()),
                        fmt::format("its watchdog thaws it within {} s", freeze_watchdog.count()));
        }
    }
    if (frozen_ > 0) {
        consistency_.frozen_for = std::chrono::duration_cast<microseconds>(steady_clock::now() - started_);
    }
    if (thawed < frozen_) {
        consistency_.kind = "crash";
        consistency_.reason = "the guest was thawed by something else before the disks were taken";
    }
}

// The disks are taken by then: what a hook does, or doesn't, changes nothing about them.
void GuestFreeze::run_thaw_hooks() noexcept
{
    if (!std::exchange(hooks_ran_, false)) {
        return;
    }
    try {
        static_cast<void>(agent_.exec({"/bin/sh", "-c", after_thaw, "kiln-thaw", std::to_string(watchdog_)}, {},
                                      hook_limit, [] { return false; }));
    } catch (...) { // the guest may have gone
    }
}

} // namespace kiln::launcher
