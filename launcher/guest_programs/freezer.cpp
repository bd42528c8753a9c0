// SPDX-License-Identifier: Apache-2.0
#include "launcher/guest_programs/freezer.h"

#include "launcher/guest_programs/guest_system.h"

#include <cerrno>
#include <ctime>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::guest
{
namespace
{

const std::string root = "/sys/fs/cgroup";
const std::string own = root + "/kiln-clone";
constexpr timespec poll_interval{0, 2'000'000};
constexpr int most_polls = 5000; // 10 s

void move_to(const std::string& group)
{
    write_into(group + "/cgroup.procs", std::to_string(::getpid()));
}

bool is_frozen(const std::string& group)
{
    const auto events = read_file(group + "/cgroup.events");
    return events && events->find("frozen 1") != std::string::npos;
}

// Kernel threads have no program.
void require_empty_root()
{
    const std::string pids = read_file(root + "/cgroup.procs").value_or("");
    for (std::size_t begin = 0; begin < pids.size();) {
        const std::size_t end = pids.find('\n', begin);
        const std::string pid = pids.substr(begin, end - begin);
        char program[256];
        const ssize_t length = ::readlink(("/proc/" + pid + "/exe").c_str(), program, sizeof program);
        if (length > 0) {
            throw Failure{"the process " + pid + " (" + std::string(program, static_cast<std::size_t>(length)) +
                          ") is in no cgroup that could be frozen"};
        }
        begin = end == std::string::npos ? pids.size() : end + 1;
    }
}

} // namespace

Freezer::Freezer()
{
    if (!exists(root + "/cgroup.controllers")) {
        throw Failure{"the guest has no cgroup v2 at " + root};
    }
    if (::mkdir(own.c_str(), 0755) != 0 && errno != EEXIST) {
        fail("making " + own);
    }
    move_to(own);
}

void Freezer::freeze()
{
    require_empty_root();
    for (const std::string& name : list(root)) {
        const std::string group = std::string(root).append("/").append(name);
        if (group != own && exists(group + "/cgroup.freeze")) {
            write_into(group + "/cgroup.freeze", "1");
            groups_.push_back(group);
        }
    }
    for (const std::string& group : groups_) {
        for (int i = 0; !is_frozen(group); ++i) {
            if (i == most_polls) {
                thaw();
                throw Failure{"the processes of " + group + " did not freeze"};
            }
            (void)::nanosleep(&poll_interval, nullptr);
        }
    }
}

void Freezer::thaw()
{
    while (!groups_.empty()) {
        write_into(groups_.back() + "/cgroup.freeze", "0");
        groups_.pop_back();
    }
}

void Freezer::leave() noexcept
{
    groups_.clear();
    try {
        move_to(root);
    } catch (const Failure&) { // it ends where it is
    }
    ::rmdir(own.c_str());
}

} // namespace kiln::guest
