// SPDX-License-Identifier: Apache-2.0
// What this home has verified of layer blobs, so that an unchanged one need not be read again at each launch: a SQLite
// file in the home, outside every region. It only ever saves reading: when it can't be used, everything is read. Not to
// be shared by threads.
//
// An entry counts for a file of the very same device, inode, size, mtime and ctime, until the machine's next boot. The
// kernel sets a ctime anew at every change of content, and nobody can set it back but by the clock or the raw disk.
#pragma once

#include "core/digest.h"
#include "registry/sqlite.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kiln::registry
{

// A file as fstat() shows it, at one moment.
struct FileState {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0; // bytes
    std::int64_t mtime = 0;
    std::int64_t ctime = 0; // both in nanoseconds since the epoch
    auto operator<=>(const FileState&) const = default;
};
// Throws Error{io}.
[[nodiscard]] FileState file_state_of(int fd);

class VerificationRecord
{
public:
    // A file whose ctime is younger is not noted: it could change once more without a later ctime, as file systems
    // count time in steps of up to a second or two.
    static constexpr std::chrono::nanoseconds settling_time = std::chrono::seconds(2);

    // Made on first use, with the folder, mode 0600. One that others may write to, that belongs to somebody else or is
    // damaged is not used: fault() says so.
    explicit VerificationRecord(const std::filesystem::path& file, std::chrono::nanoseconds settling = settling_time);

    // `verified` is what was compared with the content: the digest of all of it, or of a list of its parts' digests.
    [[nodiscard]] bool has(const FileState& state, const Digest& verified);

    struct Entry {
        FileState state; // as it was both before and after the reading
        Digest verified;
    };
    // Notes what may be noted of it; forgets what was noted in earlier boots. `began`: no later than the first look at
    // the files, by the system's clock.
    void note(const std::vector<Entry>& entries, std::chrono::system_clock::time_point began);

    // Why everything is read, for a person; nullopt when the record is in use.
    [[nodiscard]] const std::optional<std::string>& fault() const noexcept { return fault_; }

private:
    void give_up(std::string why);

    std::chrono::nanoseconds settling_;
    std::optional<Database> database_; // none: the record can't be used
    std::string boot_;
    std::optional<std::string> fault_;
};

// Whether the file's file system keeps ctime itself and on this machine: one that somebody else serves, or that has no
// ctime, is always read.
[[nodiscard]] bool keeps_change_times(int fd);

} // namespace kiln::registry
