// SPDX-License-Identifier: Apache-2.0
// When a guest is ready: when it says so itself.
#include "core/error.h"
#include "core/interrupt.h"
#include "launcher/control.h"
#include "launcher/diagnosis.h"
#include "launcher/guest.h"
#include "launcher/instance_store.h"
#include "launcher/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <thread>

namespace kiln::launcher
{
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// The states in which systemd has ended its boot (systemctl(1), is-system-running).
constexpr std::array<std::string_view, 3> booted{"running", "degraded", "maintenance"};

constexpr std::size_t console_lines = 12;

constexpr const char* cloud_init_ended = "/run/kiln/cloud-init"; // kiln-clone-agent's

// The guest's word, or nullopt when it can't tell yet.
std::optional<std::string> ask_systemd(const Paths& paths, const Instance& instance, seconds limit,
                                       const std::stop_token& stop)
{
    try {
        const ExecResult result = exec(paths, instance, {"systemctl", "is-system-running", "--wait"}, {}, limit, stop);
        std::string word = result.output.substr(0, result.output.find('\n'));
        return std::ranges::find(booted, word) != booted.end() ? std::optional(word) : std::nullopt;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::launch) {
            throw;
        }
        const bool no_systemd = std::string_view(error.what()).find("No such file") != std::string_view::npos;
        return no_systemd ? std::optional<std::string>("agent") : std::nullopt;
    }
}

bool agent_answers(const Paths& paths, const Instance& instance, const std::stop_token& stop)
{
    constexpr milliseconds limit{2000};
    const Json answer =
        ask_supervisor(paths, instance.id, {{"request", "ping-guest"}, {"limit_ms", limit.count()}}, limit * 5, stop);
    return bool_member(answer, "answers", "the supervisor's answer");
}

// A clone's guest has said who it is before it counted as running, and its boot had ended in its template. Only what
// cloud-init does anew is still to come: nullopt then, or at its end the word of systemd is asked for.
std::optional<std::string> word_of_clone(const Paths& paths, const Instance& instance,
                                         steady_clock::time_point deadline, const std::stop_token& stop)
{
    if (!instance.warm || instance.warm->start != WarmLaunch::Start::clone) {
        return std::nullopt;
    }
    if (!instance.warm->cloud_init) {
        return instance.warm->ready;
    }
    while (steady_clock::now() < deadline) {
        throw_if_interrupted(stop);
        if (exec(paths, instance, {"test", "-e", cloud_init_ended}, {}, seconds(60), stop).status == 0) {
            break;
        }
        std::this_thread::sleep_for(milliseconds(250));
    }
    return std::nullopt;
}

} // namespace

std::string wait_until_ready(const Paths& paths, const Instance& instance, std::chrono::seconds timeout,
                             const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    const auto deadline = steady_clock::now() + timeout;
    if (auto word = word_of_clone(paths, load_record(files), deadline, stop)) {
        return *std::move(word);
    }
    bool agent_seen = false;
    for (;;) {
        throw_if_interrupted(stop);
        if (!find_qemu(files, instance.id)) {
            throw Error(ErrorKind::launch, fmt::format("{} ended before it was ready; its console said last:\n{}",
                                                       instance.id, console_tail(files, console_lines)));
        }
        agent_seen = agent_seen || agent_answers(paths, instance, stop);
        const auto left = std::chrono::duration_cast<seconds>(deadline - steady_clock::now());
        if (agent_seen && left.count() > 0) {
            if (const auto word = ask_systemd(paths, instance, left, stop)) {
                return *word;
            }
        }
        if (steady_clock::now() > deadline) {
            throw Error(ErrorKind::launch,
                        fmt::format("{} was not ready within {} s: {}; its console said last:\n{}", instance.id,
                                    timeout.count(),
                                    agent_seen ? "its guest agent answers, but its boot has not ended"
                                               : "its guest agent never answered",
                                    console_tail(files, console_lines)),
                        agent_seen ? "" : "the image needs the package qemu-guest-agent");
        }
        std::this_thread::sleep_for(milliseconds(100));
    }
}

} // namespace kiln::launcher
