// SPDX-License-Identifier: Apache-2.0
#include "registry/sqlite.h"

#include "core/error.h"

#include <fmt/format.h>

namespace kiln::registry
{
namespace
{

constexpr int busy_milliseconds = 30'000;

} // namespace

Database::Database(const std::filesystem::path& file, bool create) : file_(file)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
    sqlite3* handle = nullptr;
    const int status = sqlite3_open_v2(file.c_str(), &handle, flags, nullptr);
    handle_.reset(handle); // there is one also when opening failed
    if (status != SQLITE_OK) {
        fail();
    }
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, busy_milliseconds);
    execute("PRAGMA trusted_schema = OFF");
    // EXTRA is FULL and a sync of the folder after the journal is gone, so that a commit that was
    // reported survives a power failure.
    execute("PRAGMA synchronous = EXTRA");
}

void Database::execute(const char* sql) const
{
    if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
        fail();
    }
}

void Database::fail() const
{
    const int code = sqlite3_extended_errcode(handle_.get());
    const std::string message = fmt::format("the catalogue {}: {}", file_.native(), sqlite3_errmsg(handle_.get()));
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        throw Error(ErrorKind::conflict, message);
    case SQLITE_FULL:
        throw Error(ErrorKind::no_space, message, "free some space on that file system, then try again");
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        throw Error(ErrorKind::permission_denied, message);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        throw Error(ErrorKind::io, message, "another process holds it; try again when that has ended");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        throw Error(ErrorKind::io, message, "the file is damaged; restore it from a backup");
    default:
        throw Error(ErrorKind::io, message);
    }
}

Statement::Statement(const Database& database, std::string_view sql) : database_(database)
{
    sqlite3_stmt* handle = nullptr;
    check(sqlite3_prepare_v2(database.get(), sql.data(), static_cast<int>(sql.size()), &handle, nullptr));
    handle_.reset(handle);
}

void Statement::check(int status) const
{
    if (status != SQLITE_OK) {
        database_.fail();
    }
}

Statement& Statement::bind(int index, std::string_view text)
{
    // A null destructor means that the text stays where it is. A null pointer would bind NULL.
    const char* data = text.data() == nullptr ? "" : text.data();
    check(sqlite3_bind_text(handle_.get(), index, data, static_cast<int>(text.size()), nullptr));
    return *this;
}

Statement& Statement::bind(int index, std::int64_t number)
{
    check(sqlite3_bind_int64(handle_.get(), index, number));
    return *this;
}

Statement& Statement::bind_null(int index)
{
    check(sqlite3_bind_null(handle_.get(), index));
    return *this;
}

bool Statement::step()
{
    const int status = sqlite3_step(handle_.get());
    if (status != SQLITE_ROW && status != SQLITE_DONE) {
        database_.fail();
    }
    return status == SQLITE_ROW;
}

std::string Statement::text(int column) const
{
    const void* data = sqlite3_column_blob(handle_.get(), column);
    const int size = sqlite3_column_bytes(handle_.get(), column);
    return data == nullptr ? std::string()
                           : std::string(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

std::int64_t Statement::integer(int column) const
{
    return sqlite3_column_int64(handle_.get(), column);
}

bool Statement::is_null(int column) const
{
    return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

Transaction::Transaction(const Database& database, Access access) : database_(database)
{
    database_.execute(access == Access::write ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction()
{
    if (open_) {
        sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
}

void Transaction::commit()
{
    database_.execute("COMMIT");
    open_ = false;
}

} // namespace kiln::registry
