// SPDX-License-Identifier: Apache-2.0
// SQLite's handles with their owners, and the one way its failures become errors. Private to
// registry/. SQL is constant text; values are bound.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace kiln::registry
{

struct CloseDatabase {
    void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }
};
struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

class Database
{
public:
    // Waits up to 30 seconds for other processes' locks. Throws Error{io, permission_denied}.
    Database(const std::filesystem::path& file, bool create);

    // One or more statements without values and rows.
    void execute(const char* sql) const;
    [[nodiscard]] sqlite3* get() const noexcept { return handle_.get(); }
    // Throws an error of the kind that SQLite's last failure on this database has.
    [[noreturn]] void fail() const;

private:
    std::filesystem::path file_;
    std::unique_ptr<sqlite3, CloseDatabase> handle_;
};

// One prepared statement. Bound text must outlive the last step().
class Statement
{
public:
    Statement(const Database& database, std::string_view sql);

    Statement& bind(int index, std::string_view text);
    Statement& bind(int index, std::int64_t number);
    Statement& bind_null(int index);

    // True when there is a row; throws Error{conflict} for a broken uniqueness rule.
    bool step();
    [[nodiscard]] std::string text(int column) const;
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] bool is_null(int column) const;

private:
    void check(int status) const;

    const Database& database_;
    std::unique_ptr<sqlite3_stmt, FinalizeStatement> handle_;
};

// Rolled back unless commit() returned. One that only reads sees one state of the database until it ends.
class Transaction
{
public:
    enum class Access { write, read };
    explicit Transaction(const Database& database, Access access = Access::write);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();
    void commit();

private:
    const Database& database_;
    bool open_ = true;
};

} // namespace kiln::registry
