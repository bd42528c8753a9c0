// SPDX-License-Identifier: Apache-2.0
#include "launcher/usage/history.h"

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/instance_store.h"
#include "launcher/instance_type.h"
#include "launcher/life/last_seen.h"
#include "launcher/usage/event_line.h"
#include "launcher/usage/iso_time.h"

#include <algorithm>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;

void take_volumes(History& history, const Json& detail)
{
    const Json volumes = detail.value("volumes", Json());
    if (!volumes.is_array()) {
        return;
    }
    history.volumes = ByteSize();
    for (const Json& volume : volumes) {
        if (volume.is_object() && volume.value("bytes", Json()).is_number_unsigned()) {
            history.volumes = history.volumes + ByteSize(volume.at("bytes").get<std::uint64_t>());
        }
    }
}

void close(History& history, Time end)
{
    if (!history.runs.empty() && !history.runs.back().end) {
        Run& run = history.runs.back();
        run.end = std::max(run.start, end);
    }
}

void take(History& history, const EventLine& event, Time last_heard)
{
    if (event.name == "pending" || event.name == "running") {
        history.created = history.created.value_or(event.time);
        if (const std::string name = text_of(event.detail, "name"); !name.empty()) {
            history.name = name;
        }
        take_tags(history.tags, event.detail);
        take_volumes(history, event.detail);
    }
    if (event.name == "running") {
        close(history, last_heard);
        history.runs.push_back({.start = event.time,
                                .type = text_of(event.detail, "type"),
                                .price = parse_price(text_of(event.detail, "price_per_hour")).value_or(0)});
    } else if (event.name == "stopped") {
        close(history, parse_iso_time(text_of(event.detail, "at")).value_or(event.time));
    } else if (event.name == "terminated") {
        close(history, event.time);
        history.terminated = event.time;
    } else if (event.name == "tagged") {
        take_tags(history.tags, event.detail);
    }
}

std::string load_log(const fs::path& log)
{
    return fs::exists(log) ? read_file(log, longest_log) : std::string();
}

void end_what_has_no_end(History& history, const InstancePaths& files, Time now)
{
    if (history.runs.empty() || history.runs.back().end) {
        return;
    }
    if (find_qemu(files, history.id)) {
        close(history, now);
        return;
    }
    try {
        close(history, last_seen(files, load_record(files)));
    } catch (const Error&) { // its record is gone, or broken
        close(history, history.runs.back().start);
    }
}

} // namespace

History read_history(std::string_view id, std::string_view log)
{
    History history;
    history.id = id;
    Time last_heard{};
    while (!log.empty()) {
        if (const auto event = parse_event_line(next_line(log))) {
            take(history, *event, last_heard);
            last_heard = event->time;
        }
    }
    return history;
}

bool says_it_runs(std::string_view log, pid_t qemu)
{
    bool runs = false;
    while (!log.empty()) {
        const auto event = parse_event_line(next_line(log));
        if (event && (event->name == "running" || event->name == "stopped")) {
            runs = event->name == "running" && event->detail.value("pid", Json()) == qemu;
        }
    }
    return runs;
}

std::vector<History> load_histories(const Paths& paths, Time now)
{
    std::vector<History> histories;
    std::error_code ignored;
    const auto seen = [&](const std::string& id) {
        return std::ranges::find(histories, id, &History::id) != histories.end();
    };
    for (const bool ended : {false, true}) { // one that is terminated meanwhile moves on to the second
        for (const fs::directory_entry& entry :
             fs::directory_iterator(ended ? paths.home / "ended" : paths.instances, ignored)) {
            const std::string id = entry.path().filename();
            if (!is_resource_id("i-", id) || seen(id)) {
                continue;
            }
            try {
                const InstancePaths files(paths, id);
                History history = read_history(id, load_log(entry.path() / files.events.filename()));
                if (!ended) {
                    end_what_has_no_end(history, files, now);
                }
                histories.push_back(std::move(history));
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::not_found) { // terminated while we looked
                    throw;
                }
            }
        }
    }
    std::ranges::sort(histories, {}, [](const History& history) { return std::tie(history.created, history.id); });
    return histories;
}

} // namespace kiln::launcher
