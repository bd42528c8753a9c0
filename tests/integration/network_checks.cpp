// SPDX-License-Identifier: Apache-2.0
// network_checks INSTANCE: tests of kind port and http against a real guest, prepared by network_checks.sh: port 22 is
// sshd's, 80 a web server's, 82 accepts and closes at once, what 83 answers is lost, 81 is closed.
#include "core/paths.h"
#include "launcher/smoke_test.h"

#include <fmt/format.h>

#include <string_view>

using kiln::bundle::Test;

int main(int argc, char** argv)
{
    if (argc != 2) {
        return 2;
    }
    const kiln::Paths paths = kiln::paths_from_environment();
    const kiln::launcher::Instance instance = kiln::launcher::resolve_instance(paths, argv[1]);
    struct Case {
        Test test;
        std::string_view failure; // a part of it; empty: the test passes
    };
    const std::vector<Case> cases{
        {{.name = "open", .kind = "port", .port = 22}, ""},
        {{.name = "accepts and closes", .kind = "port", .port = 82}, ""},
        {{.name = "closed", .kind = "port", .port = 81, .timeout_seconds = 3}, "refuses connections"},
        {{.name = "dropped", .kind = "port", .port = 83, .timeout_seconds = 7}, "does not answer"},
        {{.name = "page", .kind = "http", .status = 200, .port = 80, .path = "/page", .body = "^hello .*page$"}, ""},
        {{.name = "status", .kind = "http", .status = 404, .port = 80, .path = "/page", .timeout_seconds = 8},
         "the status 200 instead of 404"},
        {{.name = "nobody", .kind = "http", .status = 200, .port = 81, .path = "/", .timeout_seconds = 3},
         "nothing listens there"},
    };
    std::vector<Test> tests;
    for (const Case& one : cases) {
        tests.push_back(one.test);
    }
    kiln::Progress progress(true);
    const auto results = kiln::launcher::run_tests(paths, instance, tests, progress, {});
    int wrong = 0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const bool expected = cases[i].failure.empty() ? results[i].passed
                                                       : results[i].failure.find(cases[i].failure) != std::string::npos;
        fmt::print("{} {} ({:.2f} s): {}\n", expected ? "ok" : "WRONG", results[i].name, results[i].elapsed.count(),
                   results[i].failure.empty() ? "passed" : results[i].failure);
        wrong += expected ? 0 : 1;
    }
    return wrong == 0 ? 0 : 1;
}
