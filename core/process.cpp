// SPDX-License-Identifier: Apache-2.0
#include "core/process.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <span>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kiln
{
namespace
{

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds grace_after_term{10};

struct Pipe {
    FileDescriptor read_end;
    FileDescriptor write_end;
};

Pipe make_pipe()
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        throw system_error(errno, "creating a pipe");
    }
    return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

std::vector<char*> as_argv(const std::vector<std::string>& strings)
{
    std::vector<char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (const std::string& string : strings) {
        pointers.push_back(const_cast<char*>(string.c_str()));
    }
    pointers.push_back(nullptr);
    return pointers;
}

std::vector<std::string> child_environment(const Command& command)
{
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        environment.emplace_back(*entry);
    }
    for (const auto& [name, value] : command.environment) {
        const std::string prefix = name + "=";
        std::erase_if(environment, [&](const std::string& entry) { return entry.starts_with(prefix); });
        environment.push_back(prefix);
        environment.back() += value;
    }
    return environment;
}

// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void become(const char* program, char* const* argv, char* const* environment, const char* folder,
                         std::span<std::pair<int, int>> descriptors,
                         const std::vector<std::pair<int, std::uint64_t>>& limits, int death_signal, int report,
                         pid_t parent)
{
    const auto fail = [&] {
        const int number = errno;
        [[maybe_unused]] const ssize_t written = ::write(report, &number, sizeof number);
        ::_exit(127);
    };
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, death_signal);
    if (::getppid() != parent) {
        ::_exit(127);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    static_cast<void>(::signal(SIGPIPE, SIG_DFL));
    // First all of ours go where no number of the child's is: one may be another's.
    int beyond = STDERR_FILENO + 1;
    for (const auto& [ours, theirs] : descriptors) {
        beyond = std::max(beyond, theirs + 1);
    }
    report = ::fcntl(report, F_DUPFD_CLOEXEC, beyond);
    for (auto& [ours, theirs] : descriptors) {
        ours = ::fcntl(ours, F_DUPFD_CLOEXEC, beyond);
    }
    for (const auto& [ours, theirs] : descriptors) {
        if (::dup2(ours, theirs) < 0) {
            fail();
        }
    }
    for (const auto& [resource, most] : limits) {
        const rlimit limit{most, most};
        if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
            fail();
        }
    }
    if (*folder != '\0' && ::chdir(folder) != 0) {
        fail();
    }
    ::execve(program, argv, environment);
    fail();
    ::_exit(127);
}

// One output stream of the child.
struct Stream {
    FileDescriptor fd;
    std::string* text;
    std::string pending_line;
    const std::function<void(std::string_view)>* on_line;

    void consume(std::size_t limit)
    {
        char buffer[65536];
        const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
            return;
        }
        if (got <= 0) {
            if (!pending_line.empty() && on_line != nullptr) {
                (*on_line)(pending_line);
            }
            fd = FileDescriptor();
            return;
        }
        const std::string_view bytes(buffer, static_cast<std::size_t>(got));
        text->append(bytes.substr(0, limit - std::min(limit, text->size())));
        if (on_line == nullptr || !*on_line) {
            return;
        }
        for (const char c : bytes) {
            if (c == '\n' || c == '\r') {
                (*on_line)(pending_line);
                pending_line.clear();
            } else if (pending_line.size() < 4096) {
                pending_line += c;
            }
        }
    }
};

class Child
{
public:
    explicit Child(pid_t pid) : pid_(pid) {}
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child()
    {
        if (!reaped_) {
            ::kill(-pid_, SIGKILL);
            wait();
        }
    }

    void signal_group(int number) const { ::kill(-pid_, number); }

    [[nodiscard]] bool try_reap()
    {
        reaped_ = reaped_ || ::waitpid(pid_, &status_, WNOHANG) == pid_;
        return reaped_;
    }

    int wait()
    {
        while (!reaped_ && ::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
        }
        reaped_ = true;
        return status_;
    }

private:
    pid_t pid_;
    int status_ = 0;
    bool reaped_ = false;
};

void feed(FileDescriptor& input, std::string_view& left)
{
    const ssize_t written = ::write(input.get(), left.data(), left.size());
    if (written > 0) {
        left.remove_prefix(static_cast<std::size_t>(written));
    }
    if (left.empty() || (written < 0 && errno != EAGAIN && errno != EINTR)) {
        input = FileDescriptor();
    }
}

// Asks the group to end, gives it time to clean up, then kills it.
void end_group(Child& child)
{
    child.signal_group(SIGTERM);
    const auto deadline = Clock::now() + grace_after_term;
    while (!child.try_reap() && Clock::now() < deadline) {
        ::usleep(20'000);
    }
    child.signal_group(SIGKILL);
    child.wait();
}

} // namespace

std::string ProcessResult::describe() const
{
    switch (outcome) {
    case Outcome::exited:
        return fmt::format("exited with status {}", status);
    case Outcome::signalled:
        return fmt::format("was killed by signal {} ({})", status, strsignal(status));
    case Outcome::timed_out:
        return "did not end in time";
    case Outcome::not_started:
        return fmt::format("could not be started: {}", std::strerror(status));
    }
    return {};
}

ProcessResult run(const Command& command, const std::stop_token& stop)
{
    ProcessResult result;
    const auto program = find_program(command.argv.at(0));
    if (!program) {
        result.status = ENOENT;
        return result;
    }
    Pipe input = make_pipe();
    Pipe output = make_pipe();
    Pipe errors = make_pipe();
    Pipe report = make_pipe();
    const FileDescriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const std::vector<char*> argv = as_argv(command.argv);
    const std::vector<std::string> environment = child_environment(command);
    const std::vector<char*> environment_pointers = as_argv(environment);
    std::vector<std::pair<int, int>> descriptors = {
        {input.read_end.get(), 0}, {output.write_end.get(), 1}, {errors.write_end.get(), 2}};
    descriptors.insert(descriptors.end(), command.descriptors.begin(), command.descriptors.end());

    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        throw system_error(errno, "starting a process");
    }
    if (pid == 0) {
        become(program->c_str(), argv.data(), environment_pointers.data(), command.folder.c_str(), descriptors,
               command.limits, command.death_signal, report.write_end.get(), parent);
    }
    Child child(pid);
    input.read_end = FileDescriptor();
    output.write_end = FileDescriptor();
    errors.write_end = FileDescriptor();
    report.write_end = FileDescriptor();
    int start_error = 0;
    if (::read(report.read_end.get(), &start_error, sizeof start_error) == sizeof start_error) {
        child.wait();
        result.status = start_error;
        return result;
    }

    const std::stop_callback on_stop(stop, [&] {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(wake.get(), &one, sizeof one);
    });
    ::fcntl(input.write_end.get(), F_SETFL, O_NONBLOCK);
    std::string_view input_left = command.input;
    if (input_left.empty()) {
        input.write_end = FileDescriptor();
    }
    Stream out{std::move(output.read_end), &result.output, {}, nullptr};
    Stream err{std::move(errors.read_end), &result.errors, {}, &command.on_error_line};
    const auto deadline = command.timeout ? Clock::now() + *command.timeout : Clock::time_point::max();

    while (out.fd || err.fd) {
        std::array<pollfd, 4> polled{pollfd{out.fd.get(), POLLIN, 0}, pollfd{err.fd.get(), POLLIN, 0},
                                     pollfd{input.write_end.get(), POLLOUT, 0}, pollfd{wake.get(), POLLIN, 0}};
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        const int wait = command.timeout ? static_cast<int>(std::clamp<long>(left, 0, 60'000)) : 60'000;
        if (::poll(polled.data(), polled.size(), wait) < 0 && errno != EINTR) {
            throw system_error(errno, "waiting for a process");
        }
        if (stop.stop_requested()) {
            end_group(child);
            throw Error(ErrorKind::interrupted, "interrupted");
        }
        if (Clock::now() >= deadline) {
            end_group(child);
            result.outcome = ProcessResult::Outcome::timed_out;
            return result;
        }
        if (polled[0].revents != 0) {
            out.consume(command.output_limit);
        }
        if (polled[1].revents != 0) {
            err.consume(command.output_limit);
        }
        if (polled[2].revents != 0) {
            feed(input.write_end, input_left);
        }
    }
    const int status = child.wait();
    const bool signalled = WIFSIGNALED(status);
    result.outcome = signalled ? ProcessResult::Outcome::signalled : ProcessResult::Outcome::exited;
    result.status = signalled ? WTERMSIG(status) : WEXITSTATUS(status);
    return result;
}

std::string run_or_throw(const Command& command, std::string_view doing, const std::stop_token& stop)
{
    ProcessResult result = run(command, stop);
    if (result.succeeded()) {
        return std::move(result.output);
    }
    const std::string& program = command.argv.at(0);
    if (result.outcome == ProcessResult::Outcome::not_started && result.status == ENOENT) {
        throw Error(ErrorKind::missing_tool, fmt::format("{}: the program {} is not installed", doing, program),
                    "run `kiln doctor`, which names the Debian package that has it");
    }
    const bool full = result.errors.find("No space left on device") != std::string::npos;
    throw Error(full ? ErrorKind::no_space : ErrorKind::io,
                fmt::format("{}: {} {}: {}", doing, program, result.describe(), tail_in_one_line(result.errors, 5)));
}

std::optional<std::filesystem::path> find_program(std::string_view program)
{
    if (program.find('/') != program.npos) {
        return ::access(std::string(program).c_str(), X_OK) == 0 ? std::optional<std::filesystem::path>(program)
                                                                 : std::nullopt;
    }
    const char* path = std::getenv("PATH");
    std::string folders = path != nullptr ? path : "/usr/bin:/bin";
    folders += ":/usr/sbin:/sbin"; // where Debian has mke2fs; a user's PATH lacks it
    std::string_view rest = folders;
    while (!rest.empty()) {
        const std::size_t colon = std::min(rest.find(':'), rest.size());
        const std::filesystem::path candidate = std::filesystem::path(rest.substr(0, colon)) / program;
        if (candidate.is_absolute() && ::access(candidate.c_str(), X_OK) == 0 &&
            !std::filesystem::is_directory(candidate)) {
            return candidate;
        }
        rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
    return std::nullopt;
}

void require_program(std::string_view program, std::string_view debian_package)
{
    if (!find_program(program)) {
        throw Error(ErrorKind::missing_tool, fmt::format("the program {} is not installed", program),
                    fmt::format("install it: apt-get install {}", debian_package));
    }
}

} // namespace kiln
