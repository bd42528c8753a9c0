// SPDX-License-Identifier: Apache-2.0
#include "registry/layer_inspection.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/qcow2_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <thread>
#include <utility>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

struct Task {
    bundle::LayerReference layer;
    std::optional<std::string> fault;
};

// Never throws: a thread that did would end the process.
std::optional<std::string> fault_of(const bundle::Layout& layout, const bundle::LayerReference& layer) noexcept
{
    try {
        const fs::path blob = layout.blob_path(layer.digest);
        const fs::file_status status = fs::symlink_status(blob);
        if (!fs::exists(status)) {
            return "its blob is missing";
        }
        if (!fs::is_regular_file(status)) {
            return "its blob is not a regular file";
        }
        const ByteSize size(fs::file_size(blob));
        if (size != layer.size) {
            return fmt::format("its blob has {} bytes instead of {}", size.bytes(), layer.size.bytes());
        }
        const Digest actual = digest_of_file(blob);
        if (actual != layer.digest) {
            return fmt::format("its blob is damaged or was changed: the content has the digest {}", actual.to_string());
        }
        const FileDescriptor fd(::open(blob.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
        if (!fd) {
            throw system_error(errno, fmt::format("opening {}", blob.native()));
        }
        require_safe_qcow2(read_at(fd.get(), 0, qcow2_header_bytes, "reading a layer"), size);
        return std::nullopt;
    } catch (const std::exception& error) {
        return error.what();
    }
}

std::vector<Task> distinct(const std::vector<bundle::LayerReference>& layers)
{
    std::vector<Task> tasks;
    for (const bundle::LayerReference& layer : layers) {
        const auto same = [&](const Task& task) { return task.layer.digest == layer.digest; };
        if (std::none_of(tasks.begin(), tasks.end(), same)) {
            tasks.push_back({layer, std::nullopt});
        }
    }
    return tasks;
}

} // namespace

std::map<std::string, std::optional<std::string>> inspect_layers(const bundle::Layout& layout,
                                                                 const std::vector<bundle::LayerReference>& layers)
{
    std::vector<Task> tasks = distinct(layers);
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
        for (std::size_t i = next++; i < tasks.size(); i = next++) {
            tasks[i].fault = fault_of(layout, tasks[i].layer);
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
    std::map<std::string, std::optional<std::string>> faults;
    for (Task& task : tasks) {
        faults.emplace(task.layer.digest.hex(), std::move(task.fault));
    }
    return faults;
}

} // namespace kiln::registry
