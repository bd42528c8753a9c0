// SPDX-License-Identifier: Apache-2.0
#include "launcher/usage/volume_history.h"

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "core/text.h"
#include "launcher/usage/event_line.h"

#include <algorithm>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;

void take_size(VolumeHistory& history, const EventLine& event)
{
    const Json bytes = event.detail.value("bytes", Json());
    if (!bytes.is_number_unsigned()) {
        return;
    }
    const ByteSize size(bytes.get<std::uint64_t>());
    if (!history.spans.empty()) {
        if (history.spans.back().size == size) {
            return;
        }
        history.spans.back().to = std::max(history.spans.back().from, event.time);
    }
    history.spans.push_back({.from = event.time, .to = std::nullopt, .size = size});
}

} // namespace

VolumeHistory read_volume_history(std::string_view id, std::string_view log)
{
    VolumeHistory history;
    history.id = id;
    while (!log.empty()) {
        const auto event = parse_event_line(next_line(log));
        if (!event) {
            continue;
        }
        if (event->name == "deleted") {
            if (!history.spans.empty()) {
                history.spans.back().to = std::max(history.spans.back().from, event->time);
            }
            return history;
        }
        if (event->name == "created" || event->name == "resized" || event->name == "tagged") {
            take_size(history, *event);
            take_tags(history.tags, event->detail);
            const std::string name = text_of(event->detail, "name");
            history.name = name.empty() ? std::nullopt : std::optional(name);
        }
    }
    return history;
}

std::vector<VolumeHistory> load_volume_histories(const Paths& paths)
{
    std::vector<VolumeHistory> histories;
    std::error_code ignored;
    for (const char* folder : {"volumes", "ended"}) { // one that is deleted meanwhile moves on to the second
        for (const fs::directory_entry& entry : fs::directory_iterator(paths.home / folder, ignored)) {
            const std::string id = entry.path().filename();
            const fs::path log = entry.path() / "events.jsonl";
            if (!is_resource_id("vol-", id) ||
                std::ranges::find(histories, id, &VolumeHistory::id) != histories.end()) {
                continue;
            }
            try {
                histories.push_back(
                    read_volume_history(id, fs::exists(log) ? read_file(log, longest_log) : std::string()));
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::not_found) { // deleted while we looked
                    throw;
                }
            }
        }
    }
    std::erase_if(histories, [](const VolumeHistory& history) { return history.spans.empty(); });
    std::ranges::sort(histories, {},
                      [](const VolumeHistory& history) { return std::tie(history.spans.front().from, history.id); });
    return histories;
}

} // namespace kiln::launcher
