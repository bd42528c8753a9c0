// SPDX-License-Identifier: Apache-2.0
#include "launcher/life/space_watch.h"

#include "core/error.h"
#include "launcher/instance_store.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>
#include <sys/statvfs.h>

namespace kiln::launcher
{
namespace
{

constexpr std::chrono::seconds pause_between_looks{1};
constexpr ByteSize enough = mebibytes(16); // or it would pause again at once

} // namespace

SpaceWatch::SpaceWatch(InstancePaths paths, QmpClient& qmp, Power& power)
    : paths_(std::move(paths)), qmp_(qmp), power_(power), thread_([this](const std::stop_token& stop) {
          std::mutex mutex;
          std::condition_variable_any stopped;
          std::unique_lock lock(mutex);
          while (!stopped.wait_for(lock, stop, pause_between_looks, [&] { return stop.stop_requested(); })) {
              look();
          }
      })
{
    const FileLock made(paths_.space_lock, FileLock::Wait::block); // there may be no room for the file later
}

void SpaceWatch::look()
{
    const bool out_of_space = power_.out_of_space();
    try {
        if (out_of_space && !paused_) {
            paused_.emplace(paths_.space_lock, FileLock::Wait::block);
            note("paused");
        } else if (!out_of_space && paused_) {
            paused_.reset();
            note("resumed");
        } else if (out_of_space && has_space()) {
            qmp_.execute("cont");
        }
    } catch (const Error&) { // QEMU has ended, or it is looked at again
    }
}

bool SpaceWatch::has_space() const
{
    struct statvfs status {
    };
    return ::statvfs(paths_.folder.c_str(), &status) == 0 &&
           ByteSize(static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize) >= enough;
}

// The log may have no space itself.
void SpaceWatch::note(const char* event) const
{
    try {
        append_event(paths_, event, {{"reason", "no space is left on the host"}});
    } catch (const Error& error) {
        fmt::print(stderr, "the event \"{}\" could not be noted: {}\n", event, error.what());
    }
}

} // namespace kiln::launcher
