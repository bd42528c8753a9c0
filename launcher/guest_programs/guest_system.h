// SPDX-License-Identifier: Apache-2.0
// Part of kiln-clone-agent (clone_agent.cpp): files, folders and programs of the guest that it runs in. A static
// program: nothing of Kiln's libraries. Each function throws Failure.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace kiln::guest
{

struct Failure {
    std::string message; // what was done, where, and why it failed
};
[[noreturn]] void fail(const std::string& doing); // with errno's words

// nullopt when there is none, or nothing that could be read as a file.
[[nodiscard]] std::optional<std::string> read_file(const std::string& path);
// Replaces the file as a whole. With its mode and owner of before, else `mode` and root's.
void replace_file(const std::string& path, const std::string& content, mode_t mode);
// Writes into the file that is there: for files of the kernel's, and for mounted ones.
void write_into(const std::string& path, const std::string& text);

[[nodiscard]] bool exists(const std::string& path);
[[nodiscard]] std::vector<std::string> list(const std::string& folder); // sorted names; none for no folder
void remove_recursively(const std::string& path);

// Waits for it. The exit status, 128 + the signal's number, or nullopt after `seconds`, when it was killed.
[[nodiscard]] std::optional<int> run(const std::vector<std::string>& argv, const std::string& instance_id, int seconds);

} // namespace kiln::guest
