// SPDX-License-Identifier: Apache-2.0
#include "launcher/usage/usage.h"

#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace kiln::launcher
{
namespace
{

using std::chrono::days;
using std::chrono::seconds;

constexpr seconds shortest{60}; // what each start costs at least

// Adds to the rows, in the order of first use.
class Rows
{
public:
    UsageRow& at(const std::string& key)
    {
        const auto [found, added] = places_.emplace(key, rows_.size());
        if (added) {
            rows_.emplace_back().key = key;
        }
        return rows_[found->second];
    }
    std::vector<UsageRow> take() { return std::move(rows_); }

private:
    std::map<std::string, std::size_t> places_;
    std::vector<UsageRow> rows_;
};

std::int64_t seconds_between(Time from, Time to)
{
    return std::max<std::int64_t>(0, std::chrono::duration_cast<seconds>(to - from).count());
}

std::string day_of(Time time)
{
    return iso_time(time).substr(0, 10);
}

// Calls `count(part, key)` for the part of from..to that is within the window, or for each day's part of that.
template <typename Count>
void split(Time from, Time to, const Window& window, bool by_day, const std::string& key, Count count)
{
    from = std::max(from, window.from);
    to = std::min(to, window.to);
    while (from < to) {
        const Time midnight = std::chrono::floor<days>(from) + days(1);
        const Time end = by_day ? std::min<Time>(to, midnight) : to;
        count(seconds_between(from, end), by_day ? day_of(from) : key);
        from = end;
    }
}

std::string key_of(const std::string& id, const Tags& tags, const std::string& by)
{
    if (by == "instance") {
        return id;
    }
    const auto tag = by.starts_with("tag:") ? tags.find(by.substr(4)) : tags.end();
    return tag == tags.end() ? "(none)" : tag->second;
}

std::int64_t mebibytes_of(ByteSize size)
{
    return static_cast<std::int64_t>((size.bytes() + (1U << 20U) - 1) >> 20U);
}

void add_volume_rows(Rows& rows, const std::vector<VolumeHistory>& volumes, const std::string& by, const Window& window,
                     Time now)
{
    for (const VolumeHistory& volume : volumes) {
        const std::string key = by == "type" ? "(volumes)" : key_of(volume.id, volume.tags, by);
        for (const VolumeSpan& span : volume.spans) {
            split(span.from, span.to.value_or(now), window, by == "day", key,
                  [&](std::int64_t part, const std::string& where) {
                      rows.at(where).mib_seconds += part * mebibytes_of(span.size);
                  });
        }
    }
}

} // namespace

void UsageRow::add(const UsageRow& other)
{
    starts += other.starts;
    seconds += other.seconds;
    cost += other.cost;
    mib_seconds += other.mib_seconds;
}

std::string UsageRow::cost_text() const
{
    const std::int64_t millionths = (cost + 1800) / 3600;
    return fmt::format("{}.{:06}", millionths / 1'000'000, millionths % 1'000'000);
}

std::string UsageRow::gib_hours_text() const
{
    constexpr std::int64_t gib_hour = std::int64_t{1024} * 3600;
    const std::int64_t whole = mib_seconds / gib_hour;
    const std::int64_t thousandths = (mib_seconds % gib_hour * 1000 + gib_hour / 2) / gib_hour;
    return fmt::format("{}.{:03}", whole + thousandths / 1000, thousandths % 1000);
}

std::vector<UsageRow> add_up(const std::vector<History>& histories, const std::string& by, Window window, Time now,
                             const std::vector<VolumeHistory>& volumes)
{
    const bool by_day = by == "day";
    const bool by_type = by == "type";
    Rows rows;
    for (const History& history : histories) {
        const std::string key = key_of(history.id, history.tags, by);
        for (const Run& run : history.runs) {
            const std::string run_key = by_type ? run.type : key;
            if (run.start >= window.from && run.start < window.to) {
                ++rows.at(by_day ? day_of(run.start) : run_key).starts;
            }
            const Time end = std::max(run.end.value_or(now), run.start + shortest);
            split(run.start, end, window, by_day, run_key, [&](std::int64_t part, const std::string& where) {
                rows.at(where).seconds += part;
                rows.at(where).cost += part * run.price;
            });
        }
        if (history.created && history.volumes != ByteSize()) {
            const std::int64_t mebibytes = mebibytes_of(history.volumes);
            split(*history.created, history.terminated.value_or(now), window, by_day, by_type ? "(volumes)" : key,
                  [&](std::int64_t part, const std::string& where) { rows.at(where).mib_seconds += part * mebibytes; });
        }
    }
    add_volume_rows(rows, volumes, by, window, now);
    std::vector<UsageRow> result = rows.take();
    if (by != "instance") {
        std::ranges::sort(result, {}, &UsageRow::key);
        return result;
    }
    for (UsageRow& row : result) {
        const auto history = std::ranges::find(histories, row.key, &History::id);
        const auto volume = std::ranges::find(volumes, row.key, &VolumeHistory::id);
        row.name = (history != histories.end() ? history->name : volume->name).value_or("");
    }
    return result;
}

} // namespace kiln::launcher
