// SPDX-License-Identifier: Apache-2.0
#include "launcher/cgroup.h"

#include "core/error.h"
#include "core/files.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sstream>
#include <unistd.h>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

// What QEMU and the kernel need for a guest beside its memory: TCG's translations (up to 1 GiB), page tables, caches of
// qcow2, queues.
constexpr ByteSize qemu_overhead = mebibytes(1536);
constexpr unsigned most_threads = 256;
constexpr unsigned period_us = 100'000;

// The group that this process is in, "0::/user.slice/...": nullopt with cgroup v1 alone.
std::optional<fs::path> own_group(const fs::path& root)
{
    std::istringstream lines(read_file("/proc/self/cgroup", mebibytes(1)));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("0::/")) {
            return root / line.substr(4);
        }
    }
    return std::nullopt;
}

// A control file takes the whole value in one write(2), and is not to be replaced by another file.
void set(const fs::path& file, const std::string& value)
{
    const FileDescriptor fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
        throw system_error(errno, fmt::format("writing {}", file.native()));
    }
}

bool has_controllers(const fs::path& file)
{
    const std::string words = " " + read_file(file, mebibytes(1)) + " ";
    const auto has = [&](std::string_view word) {
        const auto at = words.find(word);
        return at != words.npos && words[at - 1] == ' ' &&
               (words[at + word.size()] == ' ' || words[at + word.size()] == '\n');
    };
    return has("memory") && has("pids") && has("cpu");
}

} // namespace

CgroupAttempt make_cgroup(const std::string& id, const CgroupLimits& limits, const fs::path& root)
{
    try {
        const auto own = own_group(root);
        if (!own || !fs::exists(*own / "cgroup.controllers")) {
            return {{}, fmt::format("there is no cgroup v2 at {}", root.native())};
        }
        // A group whose controllers its children have can't have processes, unless it is the root: so what this user
        // was given has to be set up for it already (systemd: Delegate=yes).
        if (!has_controllers(*own / "cgroup.subtree_control")) {
            return {{}, fmt::format("the group {} hands memory, pids and cpu to no groups below it", own->native())};
        }
        const fs::path folder = *own / ("kiln-" + id);
        fs::create_directory(folder);
        set(folder / "memory.max", std::to_string(limits.memory.bytes() + qemu_overhead.bytes()));
        set(folder / "pids.max", std::to_string(most_threads + limits.vcpus));
        // One processor more than the guest has, for QEMU's own threads.
        set(folder / "cpu.max", fmt::format("{} {}", period_us * (limits.vcpus + 1), period_us));
        return {folder, {}};
    } catch (const Error& error) {
        return {{}, error.what()};
    } catch (const fs::filesystem_error& error) {
        return {{}, fmt::format("making a group: {}", error.code().message())};
    }
}

void remove_cgroup(const std::string& id, const fs::path& root) noexcept
{
    try {
        if (const auto own = own_group(root)) {
            ::rmdir((*own / ("kiln-" + id)).c_str());
        }
    } catch (const std::exception&) { // nothing that could be removed
    }
}

} // namespace kiln::launcher
