// SPDX-License-Identifier: Apache-2.0
#include "core/progress.h"

#include "core/text.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <array>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>

namespace kiln
{
namespace
{

using Clock = std::chrono::steady_clock;

bool stderr_is_terminal()
{
    const char* term = std::getenv("TERM");
    return ::isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

std::size_t terminal_columns()
{
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void print_line(std::string_view line)
{
    fmt::print(stderr, "{}\n", line);
}

} // namespace

struct Progress::State {
    bool quiet = false;
    bool live = false;
    mutable std::mutex mutex;
    std::condition_variable_any wake;
    std::string stage;
    std::string detail;
    Clock::time_point started;
    unsigned frame = 0;
    std::vector<Timing> timings;
    std::jthread ticker;

    [[nodiscard]] std::chrono::duration<double> elapsed() const { return Clock::now() - started; }

    void clear_line() const
    {
        if (live) {
            fmt::print(stderr, "\r\x1b[K");
        }
    }

    void draw()
    {
        if (!live || stage.empty()) {
            return;
        }
        constexpr std::array spinner{"|", "/", "-", "\\"};
        std::string line = fmt::format("{} {}  {}", spinner[frame % spinner.size()], stage, human_duration(elapsed()));
        if (!detail.empty()) {
            line += "  " + detail;
        }
        line.resize(std::min(line.size(), terminal_columns() - 1));
        fmt::print(stderr, "\r\x1b[K{}", line);
        static_cast<void>(std::fflush(stderr));
    }

    void end_stage(bool done)
    {
        if (stage.empty()) {
            return;
        }
        clear_line();
        if (!quiet && done) {
            live ? print_line(fmt::format("  {}  {}", stage, human_duration(elapsed())))
                 : print_line(fmt::format("{} done: {} ({})", iso_now(), stage, human_duration(elapsed())));
        }
        if (done) {
            timings.push_back({stage, elapsed()});
        }
        stage.clear();
        detail.clear();
    }
};

Progress::Progress(bool quiet) : state_(std::make_unique<State>())
{
    state_->quiet = quiet;
    state_->live = !quiet && stderr_is_terminal();
    if (!state_->live) {
        return;
    }
    state_->ticker = std::jthread([state = state_.get()](const std::stop_token& stop) {
        std::unique_lock lock(state->mutex);
        while (!stop.stop_requested()) {
            state->wake.wait_for(lock, stop, std::chrono::milliseconds(250), [] { return false; });
            ++state->frame;
            state->draw();
        }
    });
}

Progress::~Progress()
{
    if (state_->ticker.joinable()) {
        state_->ticker.request_stop();
        state_->ticker.join();
    }
    state_->end_stage(false);
}

void Progress::stage(std::string_view name)
{
    const std::lock_guard lock(state_->mutex);
    state_->end_stage(true);
    state_->stage = name;
    state_->started = Clock::now();
    if (!state_->quiet && !state_->live) {
        print_line(fmt::format("{} {}", iso_now(), name));
    }
    state_->draw();
}

void Progress::detail(std::string_view text)
{
    const std::lock_guard lock(state_->mutex);
    state_->detail = printable(text, false);
}

void Progress::note(std::string_view text)
{
    const std::lock_guard lock(state_->mutex);
    if (state_->quiet) {
        return;
    }
    state_->clear_line();
    print_line(state_->live ? std::string(text) : fmt::format("{} {}", iso_now(), text));
    state_->draw();
}

void Progress::finish()
{
    const std::lock_guard lock(state_->mutex);
    state_->end_stage(true);
}

const std::vector<Progress::Timing>& Progress::timings() const
{
    return state_->timings;
}

} // namespace kiln
