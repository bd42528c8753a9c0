// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kiln
{
namespace
{

struct KindRow {
    ErrorKind kind;
    int exit_code;
    std::string_view name;
};

constexpr std::array kinds{
    KindRow{ErrorKind::internal, 1, "internal"},
    KindRow{ErrorKind::usage, 2, "usage"},
    KindRow{ErrorKind::recipe, 3, "recipe"},
    KindRow{ErrorKind::missing_tool, 4, "missing-tool"},
    KindRow{ErrorKind::no_space, 5, "no-space"},
    KindRow{ErrorKind::network, 6, "network"},
    KindRow{ErrorKind::package, 7, "package"},
    KindRow{ErrorKind::step_failed, 8, "step-failed"},
    KindRow{ErrorKind::not_found, 9, "not-found"},
    KindRow{ErrorKind::conflict, 10, "conflict"},
    KindRow{ErrorKind::untrusted, 11, "untrusted"},
    KindRow{ErrorKind::launch, 12, "launch"},
    KindRow{ErrorKind::test_failed, 13, "test-failed"},
    KindRow{ErrorKind::io, 14, "io"},
    KindRow{ErrorKind::permission_denied, 15, "permission-denied"},
    KindRow{ErrorKind::damaged, 16, "damaged"},
    KindRow{ErrorKind::interrupted, 130, "interrupted"},
};

const KindRow& row_of(ErrorKind kind) noexcept
{
    for (const KindRow& row : kinds) {
        if (row.kind == kind) {
            return row;
        }
    }
    return kinds[0];
}

} // namespace

int exit_code(ErrorKind kind) noexcept
{
    return row_of(kind).exit_code;
}

std::string_view name_of(ErrorKind kind) noexcept
{
    return row_of(kind).name;
}

Error::Error(ErrorKind kind, std::string message, std::string hint)
    : kind_(kind), message_(std::move(message)), hint_(std::move(hint))
{
    compose();
}

Error& Error::at(std::string location)
{
    location_ = std::move(location);
    compose();
    return *this;
}

Error& Error::while_doing(std::string context)
{
    context_.insert(context_.begin(), std::move(context));
    compose();
    return *this;
}

void Error::compose()
{
    what_ = location_.empty() ? "" : location_ + ": ";
    for (const std::string& context : context_) {
        what_ += context;
        what_ += ": ";
    }
    what_ += message_;
}

Error system_error(int number, std::string_view doing)
{
    const std::string message = fmt::format("{}: {}", doing, std::strerror(number));
    switch (number) {
    case ENOSPC:
    case EDQUOT:
        return {ErrorKind::no_space, message, "free some space on that file system, then try again"};
    case ENOENT:
        return {ErrorKind::not_found, message};
    case EACCES:
    case EPERM:
    case EROFS:
        return {ErrorKind::permission_denied, message};
    default:
        return {ErrorKind::io, message};
    }
}

} // namespace kiln
