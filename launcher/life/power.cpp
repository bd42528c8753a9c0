// SPDX-License-Identifier: Apache-2.0
#include "launcher/life/power.h"

#include "core/error.h"

#include <algorithm>
#include <csignal>
#include <thread>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds press_again{10}; // a guest that is still booting misses the first one
constexpr seconds quit_limit{10};
constexpr milliseconds look_again{50};

// QEMU may end, or hang, at any moment: what it says to a command does not matter here.
void try_execute(QmpClient& qmp, const char* command, const Json& arguments = Json::object())
{
    try {
        qmp.execute(command, arguments, seconds(5));
    } catch (const Error&) { // the deadline behind it decides
    }
}

} // namespace

void Power::shut_down(milliseconds patience)
{
    const auto deadline = steady_clock::now() + patience;
    auto press = steady_clock::now();
    while (!hurry_ && steady_clock::now() < deadline) {
        if (steady_clock::now() >= press) {
            try_execute(qmp_, "system_powerdown");
            press += press_again;
        }
        if (qemu_.wait(look_again)) {
            return;
        }
    }
    forced_ = true;
    try_execute(qmp_, "quit");
    if (!qemu_.wait(quit_limit)) {
        qemu_.signal(SIGKILL);
        static_cast<void>(qemu_.wait(quit_limit));
    }
}

bool Power::reboot(milliseconds patience, const std::function<bool()>& cancelled)
{
    look_at_events();
    const auto resets = [this] {
        look_at_events();
        const std::lock_guard lock(mutex_);
        return resets_;
    };
    const unsigned before = resets();
    const auto deadline = steady_clock::now() + patience;
    if (patience > patience.zero()) {
        bool asked = agent_.answers(std::min(patience, milliseconds(2000)));
        if (asked) {
            try { // it sends no answer when it does as it is told
                agent_.execute("guest-shutdown", {{"mode", "reboot"}}, milliseconds(500));
            } catch (const Error&) {
            }
        } else {
            const auto key = [](const char* code) { return Json{{"type", "qcode"}, {"data", code}}; };
            try_execute(qmp_, "send-key", {{"keys", {key("ctrl"), key("alt"), key("delete")}}});
        }
        while (steady_clock::now() < deadline) {
            if (resets() != before) {
                return true;
            }
            if (cancelled()) {
                throw Error(ErrorKind::interrupted, "interrupted");
            }
            std::this_thread::sleep_for(look_again);
        }
    }
    qmp_.execute("system_reset");
    return false;
}

std::string Power::end_cause()
{
    look_at_events();
    const std::lock_guard lock(mutex_);
    return cause_;
}

bool Power::out_of_space()
{
    look_at_events();
    const std::lock_guard lock(mutex_);
    return out_of_space_;
}

void Power::ask_about_space()
{
    const Json status = qmp_.execute("query-status");
    const std::lock_guard lock(mutex_);
    out_of_space_ = status.is_object() && status.value("status", Json()) == "io-error";
}

void Power::look_at_events()
{
    const std::lock_guard lock(mutex_);
    for (const Json& event : qmp_.take_events()) {
        const std::string name = event.at("event").get<std::string>();
        const Json data = event.value("data", Json::object());
        const bool told = data.is_object() && data.contains("reason") && data.at("reason").is_string();
        if (name == "SHUTDOWN" && told) {
            cause_ = data.at("reason").get<std::string>();
        } else if (name == "RESET") {
            ++resets_;
        } else if (name == "BLOCK_IO_ERROR" && data.is_object() && data.value("action", Json()) == "stop" &&
                   data.value("nospace", Json()) == true) {
            out_of_space_ = true;
        } else if (name == "RESUME") {
            out_of_space_ = false;
        }
    }
}

} // namespace kiln::launcher
