// SPDX-License-Identifier: Apache-2.0
// What long work tells its user, on standard error: on a terminal one live line with a spinner and
// the time so far, otherwise a plain line with a timestamp for each stage.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kiln
{

class Progress
{
public:
    // `quiet` prints nothing but still keeps the timings.
    explicit Progress(bool quiet = false);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // Ends the stage before and begins the next: "bootstrap debian bookworm". One thread.
    void stage(std::string_view name);
    // The latest detail of the running stage; shown on a terminal only. Any thread.
    void detail(std::string_view text);
    // A line that stays. Any thread.
    void note(std::string_view text);
    // Ends the last stage, as done.
    void finish();

    struct Timing {
        std::string stage;
        std::chrono::duration<double> elapsed;
    };
    // The stages that ended, in order.
    [[nodiscard]] const std::vector<Timing>& timings() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace kiln
