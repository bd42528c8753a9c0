// SPDX-License-Identifier: Apache-2.0
// What QEMU answers about a machine's state may be anything: an error of ours, never a crash or a hang (attack 38).
#include "core/error.h"
#include "core/machine_state.h"
#include "tests/support/fake_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln
{
namespace
{

std::string failure_of(const std::string& answer)
{
    FakeServer server("{\"QMP\":{}}\n", [answer](const std::string& line) {
        return line.find("qmp_capabilities") != std::string::npos ? "{\"return\":{}}\n" : answer;
    });
    QmpClient client(JsonSocket::connect(server.path(), "QEMU"));
    try {
        wait_until_loaded(client, std::chrono::milliseconds(50));
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::launch);
        return error.message();
    }
    return "no failure";
}

TEST(MachineState, Attack38_AnswersThatAreNoStatus)
{
    for (const char* answer : {"7", "[]", "{}", R"({"status":7})", R"({"status":"inmigrate","error-desc":[]})"}) {
        EXPECT_THAT(failure_of(std::string("{\"return\":") + answer + "}\n"), testing::HasSubstr("did not bring"))
            << answer;
    }
}

TEST(MachineState, AFailedMachineIsNotWaitedFor)
{
    EXPECT_THAT(failure_of("{\"return\":{\"status\":\"internal-error\"}}\n"), testing::HasSubstr("internal-error"));
    EXPECT_EQ(failure_of("{\"return\":{\"status\":\"prelaunch\"}}\n"), "no failure");
}

} // namespace
} // namespace kiln
