// SPDX-License-Identifier: Apache-2.0
#include "launcher/access.h"

#include "core/error.h"
#include "launcher/control.h"
#include "launcher/instance_store.h"
#include "signing/base64.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace
{

constexpr std::chrono::seconds answer_limit{40};
constexpr std::string_view what = "the supervisor's answer";

} // namespace

Forward add_port(const Paths& paths, const Instance& instance, std::uint16_t guest_port, std::uint16_t host_port,
                 const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    for (const Forward& forward : load_record(files).forwards) {
        if (host_port != 0 && forward.host_port == host_port) {
            throw Error(ErrorKind::conflict, fmt::format("port {} goes to port {} of {} already", host_port,
                                                         forward.guest_port, instance.id));
        }
    }
    const Json answer = ask_supervisor(paths, instance.id,
                                       {{"request", "add-port"}, {"guest_port", guest_port}, {"host_port", host_port}},
                                       answer_limit, stop);
    return {.host_port = static_cast<std::uint16_t>(integer_member(answer, "host_port", what)),
            .guest_port = guest_port};
}

void remove_port(const Paths& paths, const Instance& instance, std::uint16_t host_port, const std::stop_token& stop)
{
    const InstancePaths files(paths, instance.id);
    const auto of_port = [host_port](const Forward& forward) { return forward.host_port == host_port; };
    if (std::ranges::none_of(load_record(files).forwards, of_port)) {
        throw Error(ErrorKind::not_found, fmt::format("port {} is not forwarded to {}", host_port, instance.id),
                    fmt::format("`kiln instance port list {}` shows what is", instance.id));
    }
    if (find_qemu(files, instance.id)) {
        static_cast<void>(ask_supervisor(paths, instance.id, {{"request", "remove-port"}, {"host_port", host_port}},
                                         answer_limit, stop));
    }
    update_record(files, [&](Instance& now) { std::erase_if(now.forwards, of_port); });
}

std::string screenshot(const Paths& paths, const Instance& instance, const std::stop_token& stop)
{
    const Json answer = ask_supervisor(paths, instance.id, {{"request", "screenshot"}}, answer_limit, stop);
    return signing::parse_base64(string_member(answer, "png", what)).value_or("");
}

} // namespace kiln::launcher
