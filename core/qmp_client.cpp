// SPDX-License-Identifier: Apache-2.0
#include "core/qmp_client.h"

#include "core/descriptor_message.h"
#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <iterator>

namespace kiln
{
namespace
{

constexpr std::size_t most_events = 256;

std::string description_of(const Json& answer)
{
    const Json& error = answer.at("error");
    return error.is_object() && error.contains("desc") && error.at("desc").is_string()
               ? printable(error.at("desc").get<std::string>(), false)
               : "no description";
}

} // namespace

QmpClient::QmpClient(JsonSocket socket) : socket_(std::move(socket))
{
    const Json greeting = socket_.receive(in(std::chrono::seconds(30)));
    if (!greeting.is_object() || !greeting.contains("QMP")) {
        throw Error(ErrorKind::launch, "QEMU's monitor did not greet as QMP does");
    }
    execute("qmp_capabilities");
}

Json QmpClient::execute(const std::string& command, const Json& arguments, std::chrono::milliseconds limit)
{
    const std::lock_guard lock(mutex_);
    const Deadline deadline = in(limit);
    socket_.send({{"execute", command}, {"arguments", arguments}}, deadline);
    return answer_to(command, deadline);
}

Json QmpClient::execute_with_descriptor(const std::string& command, const Json& arguments, int descriptor,
                                        std::chrono::milliseconds limit)
{
    const std::lock_guard lock(mutex_);
    send_with_descriptor(socket_.descriptor(), {{"execute", command}, {"arguments", arguments}}, descriptor);
    return answer_to(command, in(limit));
}

Json QmpClient::answer_to(const std::string& command, Deadline deadline)
{
    for (;;) {
        const Json answer = socket_.receive(deadline);
        if (!answer.is_object()) {
            throw Error(ErrorKind::launch, "QEMU's monitor sent something that is not QMP");
        }
        if (answer.contains("return")) {
            return answer.at("return");
        }
        if (answer.contains("error")) {
            throw Error(ErrorKind::launch, fmt::format("QEMU refused {}: {}", command, description_of(answer)));
        }
        keep(answer);
    }
}

std::vector<Json> QmpClient::take_events()
{
    const std::lock_guard lock(mutex_);
    try {
        for (;;) {
            keep(socket_.receive(in(std::chrono::milliseconds(0))));
        }
    } catch (const Error&) { // there are no more
    }
    std::vector<Json> events(std::make_move_iterator(events_.begin()), std::make_move_iterator(events_.end()));
    events_.clear();
    return events;
}

void QmpClient::keep(Json event)
{
    if (event.is_object() && event.contains("event") && event.at("event").is_string()) {
        events_.push_back(std::move(event));
        if (events_.size() > most_events) {
            events_.pop_front();
        }
    }
}

} // namespace kiln
