// SPDX-License-Identifier: Apache-2.0
// Durable files: what these functions return from is on disk, or the old state is untouched
// (temp, fsync, rename, fsync of the folder).
#pragma once

#include "core/byte_size.h"
#include "core/file_descriptor.h"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace kiln
{

// The whole file; throws Error{not_found, permission_denied, io}, and {io} past `limit`.
[[nodiscard]] std::string read_file(const std::filesystem::path& path, ByteSize limit = mebibytes(64));

// `length` bytes at `offset`, fewer where the file ends. `doing` is for the error {io}.
[[nodiscard]] std::string read_at(int fd, std::uint64_t offset, std::size_t length, const char* doing);

// Replaces `path` durably. Readers see the old bytes or the new ones, never a part.
void write_file_durably(const std::filesystem::path& path, std::string_view bytes, mode_t mode = 0644);

// The same for what is not in memory: `write` gets the new file, open for writing.
void replace_file_durably(const std::filesystem::path& path, mode_t mode, const std::function<void(int fd)>& write);

// All of them; throws Error{io, no_space} that names `path`.
void write_all(int fd, std::string_view bytes, const std::filesystem::path& path);

// Makes the finished file `from` durable and moves it to `to` (same file system), replacing `to`.
void publish_file(const std::filesystem::path& from, const std::filesystem::path& to);

// Another name for the finished file `from`, or a copy of it where the file system has no hard links.
void link_or_copy(const std::filesystem::path& from, const std::filesystem::path& to);

// Returns when the file's content is on disk. Throws Error{io, no_space}.
void sync_file(const std::filesystem::path& path);

// Creates `path` and its parents with `mode` for the ones that it creates; keeps existing ones.
void make_directories(const std::filesystem::path& path, mode_t mode = 0755);

// The same with mode 0700; throws Error{permission_denied} when `path` exists and is somebody else's, a
// symbolic link, or open to others: in /tmp anybody could have made it before us.
void make_private_directory(const std::filesystem::path& path);

void sync_directory(const std::filesystem::path& path);

// Throws Error{no_space} that names the folder and both sizes when less than `needed` is free there.
void require_free_space(const std::filesystem::path& folder, ByteSize needed, std::string_view purpose);

// Bytes that the file occupies on disk (a sparse file occupies less than its length).
[[nodiscard]] ByteSize allocated_size(const std::filesystem::path& path);

// A private (0700) folder below `parent`, removed with everything in it on destruction. It is
// flock()ed for as long as it lives, so that `sweep_abandoned` can tell a dead owner's folder.
class WorkFolder
{
public:
    WorkFolder(const std::filesystem::path& parent, std::string_view prefix);
    WorkFolder(WorkFolder&&) noexcept = default;
    WorkFolder& operator=(WorkFolder&&) = delete;
    WorkFolder(const WorkFolder&) = delete;
    WorkFolder& operator=(const WorkFolder&) = delete;
    ~WorkFolder();

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    // Removes the folders below `parent` whose owner was killed. Returns how many went.
    static int sweep_abandoned(const std::filesystem::path& parent);

private:
    std::filesystem::path path_;
    FileDescriptor lock_;
};

// A flock() on a file, which is created where missing and never removed. The kernel releases it when the holder dies,
// so a stale lock can't exist.
class FileLock
{
public:
    enum class Wait { block, fail };
    enum class Access { exclusive, shared };
    // Throws Error{conflict} with `busy_message` when `Wait::fail` and somebody else holds it.
    FileLock(const std::filesystem::path& path, Wait wait, std::string_view busy_message = {});
    FileLock(const std::filesystem::path& path, Wait wait, std::string_view busy_message, Access access);

private:
    FileDescriptor fd_;
};

} // namespace kiln
