// SPDX-License-Identifier: Apache-2.0
// Runs an AMI's own tests in an instance of it. A pass is an answer from the guest, never a timer
// that ran out.
#pragma once

#include "bundle/manifest.h"
#include "core/paths.h"
#include "core/progress.h"
#include "launcher/instance.h"

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

namespace kiln::launcher
{

struct TestResult {
    std::string name;
    bool passed = false;
    std::string failure; // what was expected and what came; empty when passed
    std::chrono::duration<double> elapsed{0};
};

// Runs the tests; a failed one does not stop the rest. Those of kind `run` may build on one another and run one after
// the other; console, port and http only look, and such as are beside one another run at once. The results keep the
// order.
[[nodiscard]] std::vector<TestResult> run_tests(const Paths& paths, const Instance& instance,
                                                const std::vector<bundle::Test>& tests, Progress& progress,
                                                const std::stop_token& stop);

// JUnit XML of one suite; `guest_output` becomes its <system-out>, unless it is empty; guest text is escaped,
// characters that XML can't hold are replaced.
[[nodiscard]] std::string junit_xml(const std::string& suite, const std::vector<TestResult>& results,
                                    const std::string& timestamp, const std::string& guest_output);

} // namespace kiln::launcher
