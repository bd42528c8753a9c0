// SPDX-License-Identifier: Apache-2.0
#include "registry/verification_record.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

constexpr std::int64_t record_version = 1;
constexpr std::int64_t application_id = 0x4b4c5652; // "KLVR"

constexpr const char* create_table = R"(
    CREATE TABLE verified (
        device   INTEGER NOT NULL,
        inode    INTEGER NOT NULL,
        size     INTEGER NOT NULL,
        mtime    INTEGER NOT NULL,
        ctime    INTEGER NOT NULL,
        verified TEXT    NOT NULL,
        boot     TEXT    NOT NULL,
        PRIMARY KEY (device, inode)
    ) STRICT, WITHOUT ROWID;
    PRAGMA application_id = 1263294034;
    PRAGMA user_version = 1;
)";
static_assert(application_id == 1263294034);

constexpr long xfs_magic = 0x58465342; // not in linux/magic.h
constexpr long zfs_magic = 0x2fc12fc1;
// Not tmpfs: a write through a mapping changes no ctime there.
constexpr std::array local_file_systems{static_cast<long>(EXT4_SUPER_MAGIC),
                                        static_cast<long>(BTRFS_SUPER_MAGIC),
                                        static_cast<long>(F2FS_SUPER_MAGIC),
                                        xfs_magic,
                                        zfs_magic,
                                        static_cast<long>(OVERLAYFS_SUPER_MAGIC)};

std::int64_t nanoseconds(const timespec& time)
{
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::int64_t pragma(const Database& database, std::string_view sql)
{
    Statement statement(database, sql);
    return statement.step() ? statement.integer(0) : 0;
}

// SQLite would make it readable for everybody.
void make_private_file(const fs::path& file)
{
    make_directories(file.parent_path(), 0700);
    const FileDescriptor fd(::open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    struct stat status {
    };
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        throw system_error(errno, fmt::format("opening {}", file.native()));
    }
    if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0) {
        throw Error(ErrorKind::permission_denied,
                    fmt::format("{} is not a file that only this user can write to", file.native()));
    }
}

Database open_record(const fs::path& file)
{
    make_private_file(file);
    Database database(file, true);
    database.execute("PRAGMA synchronous = NORMAL"); // what is lost is read again
    if (pragma(database, "PRAGMA user_version") == 0) {
        Transaction transaction(database);
        if (pragma(database, "SELECT count(*) FROM sqlite_schema") == 0) {
            database.execute(create_table);
        }
        transaction.commit();
    }
    if (pragma(database, "PRAGMA application_id") != application_id ||
        pragma(database, "PRAGMA user_version") != record_version) {
        throw Error(ErrorKind::io, fmt::format("{} is not a record of this version of Kiln", file.native()));
    }
    return database;
}

} // namespace

FileState file_state_of(int fd)
{
    struct stat status {
    };
    if (::fstat(fd, &status) != 0) {
        throw system_error(errno, "looking at a blob");
    }
    return {.device = status.st_dev,
            .inode = status.st_ino,
            .size = status.st_size,
            .mtime = nanoseconds(status.st_mtim),
            .ctime = nanoseconds(status.st_ctim)};
}

bool keeps_change_times(int fd)
{
    struct statfs status {
    };
    return ::fstatfs(fd, &status) == 0 &&
           std::ranges::find(local_file_systems, static_cast<long>(status.f_type)) != local_file_systems.end();
}

VerificationRecord::VerificationRecord(const fs::path& file, std::chrono::nanoseconds settling) : settling_(settling)
{
    try {
        boot_ = read_file("/proc/sys/kernel/random/boot_id", ByteSize(4096));
        database_.emplace(open_record(file));
    } catch (const Error& error) {
        give_up(error.what());
    }
}

void VerificationRecord::give_up(std::string why)
{
    database_.reset();
    fault_ = std::move(why);
}

bool VerificationRecord::has(const FileState& state, const Digest& verified)
{
    if (!database_) {
        return false;
    }
    try {
        Statement statement(*database_, "SELECT size, mtime, ctime, verified, boot FROM verified WHERE device = ? AND "
                                        "inode = ?");
        statement.bind(1, static_cast<std::int64_t>(state.device)).bind(2, static_cast<std::int64_t>(state.inode));
        return statement.step() && statement.integer(0) == state.size && statement.integer(1) == state.mtime &&
               statement.integer(2) == state.ctime && statement.text(3) == verified.to_string() &&
               statement.text(4) == boot_;
    } catch (const Error& error) {
        give_up(error.what());
        return false;
    }
}

void VerificationRecord::note(const std::vector<Entry>& entries, std::chrono::system_clock::time_point began)
{
    const auto newest = std::chrono::duration_cast<std::chrono::nanoseconds>(began.time_since_epoch()) - settling_;
    if (!database_ ||
        std::ranges::none_of(entries, [&](const Entry& entry) { return entry.state.ctime <= newest.count(); })) {
        return;
    }
    try {
        Transaction transaction(*database_);
        {
            Statement forget(*database_, "DELETE FROM verified WHERE boot <> ?");
            forget.bind(1, boot_).step();
        }
        for (const Entry& entry : entries) {
            if (entry.state.ctime > newest.count()) {
                continue;
            }
            const std::string verified = entry.verified.to_string();
            Statement statement(*database_, "INSERT OR REPLACE INTO verified (device, inode, size, mtime, ctime, "
                                            "verified, boot) VALUES (?, ?, ?, ?, ?, ?, ?)");
            statement.bind(1, static_cast<std::int64_t>(entry.state.device))
                .bind(2, static_cast<std::int64_t>(entry.state.inode))
                .bind(3, entry.state.size)
                .bind(4, entry.state.mtime)
                .bind(5, entry.state.ctime)
                .bind(6, verified)
                .bind(7, boot_)
                .step();
        }
        transaction.commit();
    } catch (const Error& error) {
        give_up(error.what());
    }
}

} // namespace kiln::registry
