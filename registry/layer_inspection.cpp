// SPDX-License-Identifier: Apache-2.0
#include "registry/layer_inspection.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/file_digest.h"
#include "core/files.h"
#include "core/parallel.h"
#include "core/qcow2_header.h"
#include "registry/verification_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <set>
#include <sys/stat.h>
#include <utility>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

constexpr std::string_view changing = "its blob changed while it was read";

struct Task {
    bundle::LayerReference layer;
    fs::path blob;
    FileState state{};    // at the first look
    bool lasting = false; // its file system is one whose change times can be relied on
    LayerFinding finding{};
};

// Whatever is wrong becomes the finding's fault.
void guard(LayerFinding& finding, const std::function<void()>& work)
{
    try {
        work();
    } catch (const std::exception& error) {
        finding.fault = error.what();
    }
}

// Never waits for a FIFO, and follows no link.
FileDescriptor open_blob(const fs::path& blob)
{
    FileDescriptor fd(::open(blob.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd && errno == ENOENT) {
        throw Error(ErrorKind::not_found, "its blob is missing");
    }
    struct stat status {
    };
    if ((!fd && (errno == ELOOP || errno == ENXIO)) ||
        (fd && ::fstat(fd.get(), &status) == 0 && !S_ISREG(status.st_mode))) {
        throw Error(ErrorKind::untrusted, "its blob is not a regular file");
    }
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", blob.native()));
    }
    return fd;
}

// What is quickly seen: the size, and what the header says.
void look_at(Task& task)
{
    const FileDescriptor fd = open_blob(task.blob);
    task.state = file_state_of(fd.get());
    task.lasting = keeps_change_times(fd.get());
    const ByteSize size(static_cast<std::uint64_t>(task.state.size));
    if (size != task.layer.size) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("its blob has {} bytes instead of {}", size.bytes(), task.layer.size.bytes()));
    }
}

void require_safe_header(const Task& task)
{
    const FileDescriptor fd = open_blob(task.blob);
    require_safe_qcow2(read_at(fd.get(), 0, qcow2_header_bytes, "reading a layer"), task.layer.size);
}

void read_whole(const Task& task)
{
    const FileDescriptor fd = open_blob(task.blob);
    const Digest actual = digest_of_range(fd.get(), 0, task.layer.size.bytes(), task.blob.native());
    if (actual != task.layer.digest) {
        throw Error(
            ErrorKind::untrusted,
            fmt::format("its blob is damaged or was changed: the content has the digest {}", actual.to_string()));
    }
    if (file_state_of(fd.get()) != task.state) {
        throw Error(ErrorKind::untrusted, std::string(changing));
    }
}

std::vector<Task> distinct(const bundle::Layout& layout, const std::vector<bundle::LayerReference>& layers)
{
    std::vector<Task> tasks;
    std::set<std::string> seen;
    for (const bundle::LayerReference& layer : layers) {
        if (seen.insert(layer.digest.hex()).second) {
            tasks.push_back({.layer = layer, .blob = layout.blob_path(layer.digest)});
        }
    }
    return tasks;
}

} // namespace

std::map<std::string, LayerFinding> inspect_layers(const bundle::Layout& layout,
                                                   const std::vector<bundle::LayerReference>& layers, Reading reading,
                                                   VerificationRecord* record)
{
    const auto began = std::chrono::system_clock::now();
    std::vector<Task> tasks = distinct(layout, layers);
    std::vector<Task*> to_read;
    for (Task& task : tasks) {
        guard(task.finding, [&] {
            look_at(task);
            task.finding.unread = reading == Reading::changed && record != nullptr && task.lasting &&
                                  record->has(task.state, task.layer.digest);
        });
        if (!task.finding.fault && !task.finding.unread) {
            to_read.push_back(&task);
        }
    }
    in_parallel(to_read.size(), [&](std::size_t i) { guard(to_read[i]->finding, [&] { read_whole(*to_read[i]); }); });
    std::vector<VerificationRecord::Entry> whole;
    std::map<std::string, LayerFinding> findings;
    for (Task& task : tasks) {
        if (!task.finding.fault) {
            // Last, as it is only worth saying of what the signer meant.
            guard(task.finding, [&] { require_safe_header(task); });
        }
        if (!task.finding.fault && !task.finding.unread && task.lasting) {
            whole.push_back({task.state, task.layer.digest});
        }
        findings.emplace(task.layer.digest.hex(), std::move(task.finding));
    }
    if (record != nullptr) {
        record->note(whole, began);
    }
    return findings;
}

} // namespace kiln::registry
