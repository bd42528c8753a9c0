// SPDX-License-Identifier: Apache-2.0
// A helper program that runs beside Kiln and ends with it: terminated by the destructor, and by the
// kernel when Kiln is killed.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kiln
{

class BackgroundProcess
{
public:
    // Starts argv with its standard error in the file `log`. Throws Error{missing_tool, io}.
    BackgroundProcess(const std::vector<std::string>& argv, const std::filesystem::path& log);
    ~BackgroundProcess();
    BackgroundProcess(const BackgroundProcess&) = delete;
    BackgroundProcess& operator=(const BackgroundProcess&) = delete;

    // False once it has ended.
    [[nodiscard]] bool running();
    void signal(int number) const; // no effect once `running` said that it has ended
    // SIGTERM, and waits until it has ended, 10 s at most before SIGKILL.
    void stop();

private:
    pid_t pid_ = -1;
};

} // namespace kiln
