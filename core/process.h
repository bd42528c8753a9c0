// SPDX-License-Identifier: Apache-2.0
// Runs a program from an argv vector, never through a shell. Every child is ended when Kiln dies
// (PR_SET_PDEATHSIG) and sits in a process group of its own, which a stop request ends whole.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln
{

struct Command {
    std::vector<std::string> argv{};                                // argv[0] is looked up in PATH
    std::vector<std::pair<std::string, std::string>> environment{}; // added to ours
    std::filesystem::path folder{};                                 // empty: ours
    std::string input{};                                            // written to its standard input
    std::optional<std::chrono::milliseconds> timeout{};             // none: no limit
    std::vector<std::pair<int, int>> descriptors{};                 // {ours, the child's number}, 3 and up
    std::function<void(std::string_view)> on_error_line{};          // each whole line of standard error
    std::size_t output_limit = std::size_t{64} << 20U;              // of each stream; the rest is dropped
    int death_signal = SIGTERM;                                     // what the child gets when Kiln dies
    std::vector<std::pair<int, std::uint64_t>> limits{};            // {RLIMIT_..., most}: setrlimit(2) in the child
};

struct ProcessResult {
    enum class Outcome { exited, signalled, timed_out, not_started };
    Outcome outcome = Outcome::not_started;
    int status = 0; // exit status, signal number, or errno of the failed start
    std::string output;
    std::string errors;

    [[nodiscard]] bool succeeded() const { return outcome == Outcome::exited && status == 0; }
    // "exited with status 2", "was killed by signal 9 (Killed)", ...
    [[nodiscard]] std::string describe() const;
};

// Waits for the program. Throws Error{interrupted} when `stop` is requested; every other end,
// also a program that is missing, is in the result.
[[nodiscard]] ProcessResult run(const Command& command, const std::stop_token& stop = {});

// run(), and an Error{kind} that names the program, its end and the tail of its standard error
// unless it succeeded; Error{missing_tool} when it could not be found. Returns standard output.
std::string run_or_throw(const Command& command, std::string_view doing, const std::stop_token& stop = {});

// The path of `program` in PATH (with /usr/sbin and /sbin added), or nullopt.
[[nodiscard]] std::optional<std::filesystem::path> find_program(std::string_view program);

// Throws Error{missing_tool} that names the Debian package unless `program` is in PATH.
void require_program(std::string_view program, std::string_view debian_package);

} // namespace kiln
