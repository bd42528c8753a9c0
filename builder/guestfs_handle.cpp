// SPDX-License-Identifier: Apache-2.0
#include "builder/guestfs_handle.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <condition_variable>
#include <csignal>
#include <fstream>
#include <mutex>
#include <stop_token>
#include <string_view>

namespace kiln::builder
{
namespace fs = std::filesystem;

GuestfsHandle make_handle(Accelerator accelerator, bool network, const fs::path& temporary)
{
    GuestfsHandle handle(guestfs_create_flags(GUESTFS_CREATE_NO_CLOSE_ON_EXIT));
    if (!handle) {
        throw Error(ErrorKind::internal, "libguestfs gave no handle");
    }
    guestfs_set_error_handler(handle.get(), nullptr, nullptr);
    const auto check = [&](int result, std::string_view doing) {
        if (result == -1) {
            throw Error(ErrorKind::step_failed, fmt::format("{}: {}", doing, last_error(handle.get())));
        }
    };
    check(guestfs_set_tmpdir(handle.get(), temporary.c_str()), "setting libguestfs's folder");
    check(guestfs_set_backend(handle.get(), "direct"), "choosing libguestfs's backend");
    if (accelerator == Accelerator::tcg) {
        check(guestfs_set_backend_setting(handle.get(), "force_tcg", "1"), "choosing TCG");
    }
    check(guestfs_set_smp(handle.get(), appliance_cpus), "setting the number of CPUs");
    check(guestfs_set_network(handle.get(), network ? 1 : 0), "setting the network");
    return handle;
}

std::string last_error(guestfs_h* handle)
{
    const char* words = guestfs_last_error(handle);
    return words != nullptr ? tail_in_one_line(words, 20) : "no error was given";
}

void kill_appliance_processes()
{
    std::error_code ignored;
    for (const fs::directory_entry& task : fs::directory_iterator("/proc/self/task", ignored)) {
        std::ifstream children(task.path() / "children");
        for (pid_t pid = 0; children >> pid;) {
            std::string name;
            std::getline(std::ifstream(fmt::format("/proc/{}/comm", pid)), name);
            if (name.starts_with("qemu-system") || name == "supermin") {
                ::kill(pid, SIGKILL);
            }
        }
    }
}

ApplianceWatchdog::ApplianceWatchdog(std::chrono::seconds limit)
    : thread_([limit](const std::stop_token& stop) {
          std::mutex mutex;
          std::condition_variable_any never;
          std::unique_lock lock(mutex);
          never.wait_for(lock, stop, limit, [] { return false; });
          if (!stop.stop_requested()) {
              kill_appliance_processes();
          }
      })
{
}

} // namespace kiln::builder
