// SPDX-License-Identifier: Apache-2.0
#include "registry/upkeep/blob_audit.h"

#include "core/error.h"
#include "core/interrupt.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <sys/stat.h>
#include <thread>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

struct Task {
    Digest digest;
    fs::path file;
    ByteSize size;
    std::optional<std::string> fault{};
};

std::vector<Task> list(const fs::path& folder, BlobAudit& audit)
{
    std::vector<Task> tasks;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename();
        const auto digest = Digest::parse("sha256:" + name);
        struct stat status {
        };
        if (!digest) {
            audit.strays.push_back(name);
        } else if (::lstat(entry.path().c_str(), &status) == 0) {
            tasks.push_back({*digest, entry.path(), ByteSize(static_cast<std::uint64_t>(status.st_size))});
            audit.bytes = audit.bytes + tasks.back().size;
        }
    }
    // The large ones first, so that the threads end together.
    std::ranges::sort(tasks, [](const Task& left, const Task& right) { return left.size > right.size; });
    return tasks;
}

} // namespace

std::optional<std::string> fault_of_blob(const fs::path& file, const Digest& digest)
{
    try {
        const fs::file_status status = fs::symlink_status(file);
        if (!fs::exists(status)) {
            return "it is missing";
        }
        if (!fs::is_regular_file(status)) {
            return "it is not a regular file";
        }
        const Digest actual = digest_of_file(file);
        return actual == digest ? std::nullopt
                                : std::optional(fmt::format("its content has the digest {}", actual.to_string()));
    } catch (const std::exception& error) {
        return error.what();
    }
}

BlobAudit audit_blobs(const bundle::Layout& layout, const std::function<void(ByteSize done, ByteSize total)>& progress,
                      const std::stop_token& stop)
{
    BlobAudit audit;
    std::vector<Task> tasks = list(layout.blob_path(digest_of("")).parent_path(), audit);
    std::atomic<std::size_t> next{0};
    std::mutex reporting;
    ByteSize done;
    const auto work = [&] {
        for (std::size_t i = next++; i < tasks.size() && !stop.stop_requested(); i = next++) {
            tasks[i].fault = fault_of_blob(tasks[i].file, tasks[i].digest);
            const std::lock_guard guard(reporting);
            done = done + tasks[i].size;
            if (progress) {
                progress(done, audit.bytes);
            }
        }
    };
    {
        const std::size_t processors = std::max(1U, std::thread::hardware_concurrency());
        std::vector<std::jthread> threads; // joined at the end of this block
        for (std::size_t i = 1; i < std::min(processors, tasks.size()); ++i) {
            threads.emplace_back(work);
        }
        work();
    }
    throw_if_interrupted(stop);
    for (Task& task : tasks) {
        if (!task.fault || fs::exists(fs::symlink_status(task.file))) {
            audit.blobs.emplace(task.digest, BlobAudit::Blob{task.size, std::move(task.fault)});
        }
    }
    return audit;
}

} // namespace kiln::registry
