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
    Digest verified;      // what the content is compared with
    FileState state{};    // at the first look
    bool lasting = false; // its file system is one whose change times can be relied on
    LayerFinding finding{};
};

// What one thread reads at a time: a whole layer, or a chunk of one.
struct Piece {
    Task* task = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    const Digest* digest = nullptr;
    std::optional<std::string> fault{};
};

// Never throws: what is wrong is a finding.
std::optional<std::string> fault_of(const std::function<void()>& work)
{
    try {
        work();
        return std::nullopt;
    } catch (const std::exception& error) {
        return error.what();
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

// What is seen without reading.
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

// As strong as the digest of all: the signed manifest has either.
void read_piece(const Piece& piece)
{
    const FileDescriptor fd = open_blob(piece.task->blob);
    const Digest actual = digest_of_range(fd.get(), piece.offset, piece.length, piece.task->blob.native());
    if (actual != *piece.digest) {
        const bool whole = piece.digest == &piece.task->layer.digest;
        throw Error(
            ErrorKind::untrusted,
            fmt::format(
                "its blob is damaged or was changed: the content has the digest {}{}", actual.to_string(),
                whole ? "" : fmt::format(" from byte {} on, instead of {}", piece.offset, piece.digest->to_string())));
    }
    if (file_state_of(fd.get()) != piece.task->state) {
        throw Error(ErrorKind::untrusted, std::string(changing));
    }
}

// The record must not say of a digest what was only found of somebody's list of chunks.
Digest verified_of(const bundle::LayerReference& layer)
{
    if (!layer.chunks) {
        return layer.digest;
    }
    std::string list =
        fmt::format("chunks of {}\n{} {}\n", layer.digest.to_string(), layer.size.bytes(), layer.chunks->size.bytes());
    for (const Digest& chunk : layer.chunks->digests) {
        list += chunk.to_string() + "\n";
    }
    return digest_of(list);
}

// The longest first, so that none is begun when all others are done.
std::vector<Piece> pieces_of(std::vector<Task>& tasks)
{
    std::vector<Piece> pieces;
    for (Task& task : tasks) {
        if (task.finding.fault || task.finding.unread) {
            continue;
        }
        const std::uint64_t size = task.layer.size.bytes();
        if (!task.layer.chunks) {
            pieces.push_back({.task = &task, .length = size, .digest = &task.layer.digest});
            continue;
        }
        std::uint64_t offset = 0;
        for (const Digest& chunk : task.layer.chunks->digests) {
            const std::uint64_t length = std::min(task.layer.chunks->size.bytes(), size - offset);
            pieces.push_back({.task = &task, .offset = offset, .length = length, .digest = &chunk});
            offset += length;
        }
    }
    std::stable_sort(pieces.begin(), pieces.end(),
                     [](const Piece& left, const Piece& right) { return left.length > right.length; });
    return pieces;
}

std::vector<Task> distinct(const bundle::Layout& layout, const std::vector<bundle::LayerReference>& layers)
{
    std::vector<Task> tasks;
    std::set<std::string> seen;
    for (const bundle::LayerReference& layer : layers) {
        if (seen.insert(layer.digest.hex()).second) {
            tasks.push_back({.layer = layer, .blob = layout.blob_path(layer.digest), .verified = verified_of(layer)});
        }
    }
    return tasks;
}

} // namespace

std::map<std::string, LayerFinding> inspect_layers(const bundle::Layout& layout,
                                                   const std::vector<bundle::LayerReference>& layers, Reading reading,
                                                   VerificationRecord* record, BlobContent content)
{
    const auto began = std::chrono::system_clock::now();
    std::vector<Task> tasks = distinct(layout, layers);
    for (Task& task : tasks) {
        task.finding.fault = fault_of([&] {
            look_at(task);
            task.finding.unread = reading == Reading::changed && record != nullptr && task.lasting &&
                                  record->has(task.state, task.verified);
        });
    }
    std::vector<Piece> pieces = pieces_of(tasks);
    in_parallel(pieces.size(), [&](std::size_t i) {
        pieces[i].fault = fault_of([&] { read_piece(pieces[i]); }); // a thread touches no other piece
    });
    for (Piece& piece : pieces) {
        if (piece.fault && !piece.task->finding.fault) {
            piece.task->finding.fault = std::move(piece.fault);
        }
    }
    std::vector<VerificationRecord::Entry> whole;
    std::map<std::string, LayerFinding> findings;
    for (Task& task : tasks) {
        if (!task.finding.fault && content == BlobContent::layer) {
            // Last, as it is only worth saying of what the signer meant.
            task.finding.fault = fault_of([&] { require_safe_header(task); });
        }
        if (!task.finding.fault && !task.finding.unread && task.lasting) {
            whole.push_back({task.state, task.verified});
        }
        findings.emplace(task.layer.digest.hex(), std::move(task.finding));
    }
    if (record != nullptr) {
        record->note(whole, began);
    }
    return findings;
}

} // namespace kiln::registry
