// SPDX-License-Identifier: Apache-2.0
#include "launcher/guest_agent.h"

#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "signing/base64.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;

std::string decoded(const Json& status, const char* key)
{
    if (!status.contains(key)) {
        return {};
    }
    const auto bytes = signing::parse_base64(string_member(status, key, "the guest agent's answer"));
    if (!bytes) {
        throw Error(ErrorKind::launch, "the guest agent sent output that is not base64");
    }
    return *bytes;
}

bool flag(const Json& status, const char* key)
{
    return status.contains(key) && status.at(key) == true;
}

ExecResult to_result(const Json& status)
{
    ExecResult result;
    result.status = status.contains("signal")
                        ? 128 + static_cast<int>(integer_member(status, "signal", "the guest agent's answer"))
                        : static_cast<int>(integer_member(status, "exitcode", "the guest agent's answer"));
    result.output = decoded(status, "out-data");
    result.errors = decoded(status, "err-data");
    result.truncated = flag(status, "out-truncated") || flag(status, "err-truncated");
    return result;
}

bool is_for_frozen(std::string_view command)
{
    return command.starts_with("guest-fsfreeze-") || command == "guest-ping";
}

} // namespace

// After guest-sync-delimited with a fresh id, whatever was still under way on the line is behind us:
// answers to requests that were given up, or to an earlier supervisor.
void GuestAgent::synchronize(Deadline deadline)
{
    socket_ = JsonSocket::connect(path_, "the guest agent");
    const std::int64_t id = std::stoll(random_decimal(12));
    socket_->send_bytes("\xff", deadline); // resets the agent's parser
    socket_->send({{"execute", "guest-sync-delimited"}, {"arguments", {{"id", id}}}}, deadline);
    for (;;) {
        std::string line = socket_->receive_line(deadline);
        line.erase(0, line.rfind('\xff') + 1);
        const Json answer = Json::parse(line, nullptr, false);
        if (answer.is_object() && answer.contains("return") && answer.at("return") == id) {
            return;
        }
    }
}

Json GuestAgent::execute(const std::string& command, const Json& arguments, milliseconds limit)
{
    const Deadline deadline = in(limit);
    std::unique_lock lock(mutex_);
    if (!is_for_frozen(command) && !thawed_.wait_until(lock, deadline, [this] { return !frozen_; })) {
        throw Error(ErrorKind::launch, "the guest's file systems are frozen, for a snapshot");
    }
    Json answer;
    try {
        if (!socket_) {
            synchronize(deadline);
        }
        socket_->send({{"execute", command}, {"arguments", arguments}}, deadline);
        answer = socket_->receive(deadline);
    } catch (...) {
        socket_.reset();
        throw;
    }
    if (answer.is_object() && answer.contains("return")) {
        return answer.at("return");
    }
    const Json& error = answer.is_object() && answer.contains("error") ? answer.at("error") : Json::object();
    const bool described = error.is_object() && error.contains("desc") && error.at("desc").is_string();
    throw Error(ErrorKind::launch, fmt::format("the guest agent refused {}: {}", command,
                                               described ? printable(error.at("desc").get<std::string>(), false)
                                                         : "it sent something that is no answer"));
}

bool GuestAgent::answers(milliseconds limit)
{
    try {
        execute("guest-ping", Json::object(), limit);
        return true;
    } catch (const Error&) {
        return false;
    }
}

ExecResult GuestAgent::exec(const std::vector<std::string>& argv, const std::string& input, milliseconds limit,
                            const std::function<bool()>& cancelled)
{
    constexpr milliseconds answer_limit{30'000};
    const Deadline deadline = in(limit);
    Json arguments = {{"path", argv.at(0)},
                      {"arg", std::vector<std::string>(argv.begin() + 1, argv.end())},
                      {"capture-output", true}};
    if (!input.empty()) {
        arguments["input-data"] = signing::base64(input);
    }
    const Json started = execute("guest-exec", arguments, answer_limit);
    const std::int64_t pid = integer_member(started, "pid", "the guest agent's answer");
    std::chrono::microseconds pause{8'000};
    for (;;) {
        const Json status = execute("guest-exec-status", {{"pid", pid}}, answer_limit);
        if (bool_member(status, "exited", "the guest agent's answer")) {
            return to_result(status);
        }
        if (std::chrono::steady_clock::now() > deadline) {
            throw Error(ErrorKind::launch, fmt::format("{} did not end within {} s in the guest, where it goes on",
                                                       printable(argv[0], false), limit.count() / 1000));
        }
        if (cancelled()) {
            throw Error(ErrorKind::interrupted, "interrupted");
        }
        std::this_thread::sleep_for(pause);
        pause = std::min<std::chrono::microseconds>(pause * 6 / 5, milliseconds(200)); // late by a fifth at most
    }
}

void GuestAgent::set_frozen(bool frozen)
{
    const std::lock_guard lock(mutex_);
    frozen_ = frozen;
    thawed_.notify_all();
}

std::int64_t GuestAgent::freeze(milliseconds limit)
{
    set_frozen(true);
    const Json count = execute("guest-fsfreeze-freeze", Json::object(), limit);
    return count.is_number_integer() ? count.get<std::int64_t>() : 0;
}

std::int64_t GuestAgent::thaw(milliseconds limit)
{
    Json count;
    try {
        count = execute("guest-fsfreeze-thaw", Json::object(), limit);
    } catch (...) {
        set_frozen(false);
        throw;
    }
    set_frozen(false);
    return count.is_number_integer() ? count.get<std::int64_t>() : 0;
}

} // namespace kiln::launcher
