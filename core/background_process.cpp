// SPDX-License-Identifier: Apache-2.0
#include "core/background_process.h"

#include "core/error.h"
#include "core/process.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace kiln
{

BackgroundProcess::BackgroundProcess(const std::vector<std::string>& argv, const std::filesystem::path& log)
{
    const auto program = find_program(argv.at(0));
    if (!program) {
        throw Error(ErrorKind::missing_tool, fmt::format("the program {} is not installed", argv.at(0)),
                    "run `kiln doctor`, which names the Debian package that has it");
    }
    std::vector<char*> arguments;
    arguments.reserve(argv.size() + 1);
    for (const std::string& argument : argv) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) {
        throw system_error(errno, "starting a process");
    }
    if (pid_ != 0) {
        return;
    }
    ::setpgid(0, 0); // a Ctrl-C is for Kiln, which ends this program in its own time
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = ::open("/dev/null", O_RDWR);
    const int errors = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(null, STDIN_FILENO);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    if (::getppid() == parent && errors >= 0) {
        ::execv(program->c_str(), arguments.data());
    }
    ::_exit(127);
}

BackgroundProcess::~BackgroundProcess()
{
    stop();
}

bool BackgroundProcess::running()
{
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
    }
    return pid_ > 0;
}

void BackgroundProcess::signal(int number) const
{
    if (pid_ > 0) {
        ::kill(pid_, number);
    }
}

void BackgroundProcess::stop()
{
    if (!running()) {
        return;
    }
    ::kill(pid_, SIGTERM);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (running()) {
        if (std::chrono::steady_clock::now() > deadline) {
            ::kill(pid_, SIGKILL);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

} // namespace kiln
