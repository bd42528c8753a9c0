// SPDX-License-Identifier: Apache-2.0
// The one error type of Kiln. `ErrorKind` decides the exit code, in error.cpp and nowhere else;
// docs/exit-codes.md lists the same table and a unit test compares the two.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace kiln
{

enum class ErrorKind {
    internal,          // a defect of Kiln
    usage,             // the command line is wrong
    recipe,            // the recipe is wrong; the message carries file:line:column
    missing_tool,      // a program, kernel or device that this host lacks
    no_space,          // a disk is full, or would be
    network,           // a server could not be reached
    package,           // a package does not exist or can't be installed
    step_failed,       // a build step ran and failed
    not_found,         // no such image, instance or file
    conflict,          // the name, version or id is taken, or the state forbids it
    untrusted,         // tampered, unsigned, or signed by a key that is not trusted
    launch,            // QEMU or the guest failed to start or to answer
    test_failed,       // a smoke test failed
    io,                // a read, write or rename failed
    permission_denied, // the account or the file mode forbids it
    interrupted,       // SIGINT, SIGTERM or SIGHUP
    damaged,           // something stored is not what it was
};

// The process exit status for an error of this kind; 1..16 and 130. Stable across releases.
[[nodiscard]] int exit_code(ErrorKind kind) noexcept;

// A stable lower-case word for `kind`, as `--json` prints it.
[[nodiscard]] std::string_view name_of(ErrorKind kind) noexcept;

// Thrown by every folder. `message` is one sentence without a final newline, `hint` says what to do
// next (may be empty), `location` is `file:line:column` where there is one. Context is added on the
// way up, outermost first.
class Error : public std::exception
{
public:
    Error(ErrorKind kind, std::string message, std::string hint = {});

    [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
    [[nodiscard]] const std::string& message() const noexcept { return message_; }
    [[nodiscard]] const std::string& hint() const noexcept { return hint_; }
    [[nodiscard]] const std::string& location() const noexcept { return location_; }
    [[nodiscard]] const std::vector<std::string>& context() const noexcept { return context_; }

    Error& at(std::string location);
    Error& while_doing(std::string context);

    // "location: outer context: inner context: message", without the hint.
    [[nodiscard]] const char* what() const noexcept override { return what_.c_str(); }

private:
    void compose();

    ErrorKind kind_;
    std::string message_;
    std::string hint_;
    std::string location_;
    std::vector<std::string> context_;
    std::string what_;
};

// An `io`, `no_space`, `not_found` or `permission_denied` error for errno `number`, whichever fits.
[[nodiscard]] Error system_error(int number, std::string_view doing);

} // namespace kiln
