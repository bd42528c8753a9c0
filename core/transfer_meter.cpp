// SPDX-License-Identifier: Apache-2.0
#include "core/transfer_meter.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln
{
namespace
{

constexpr std::size_t bar_width = 12;

} // namespace

std::string transfer_text(ByteSize done, ByteSize total, ByteSize rate)
{
    const double share = total == ByteSize()
                             ? 1.0
                             : std::min(1.0, static_cast<double>(done.bytes()) / static_cast<double>(total.bytes()));
    const auto filled = static_cast<std::size_t>(share * static_cast<double>(bar_width));
    std::string text =
        fmt::format("[{}{}] {} %  {} of {}", std::string(filled, '#'), std::string(bar_width - filled, '.'),
                    static_cast<int>(share * 100.0), to_string(done), to_string(total));
    if (rate != ByteSize()) {
        text += fmt::format("  {}/s", to_string(rate));
    }
    return text;
}

void TransferMeter::show(ByteSize done, ByteSize total)
{
    const auto now = Clock::now();
    if (now - shown_ < std::chrono::milliseconds(200) && done < total) {
        return;
    }
    shown_ = now;
    const std::chrono::duration<double> elapsed = now - started_;
    const ByteSize rate =
        elapsed.count() < 0.5
            ? ByteSize()
            : ByteSize(static_cast<std::uint64_t>(static_cast<double>(done.bytes()) / elapsed.count()));
    progress_.detail(transfer_text(done, total, rate));
}

} // namespace kiln
