// SPDX-License-Identifier: Apache-2.0
// How far a transfer is, as the detail of a stage: "[######......] 52 %  94 MiB of 180 MiB  61 MiB/s".
#pragma once

#include "core/byte_size.h"
#include "core/progress.h"

#include <chrono>
#include <string>

namespace kiln
{

// `rate` is per second; zero: not known yet. A total of zero is all of it.
[[nodiscard]] std::string transfer_text(ByteSize done, ByteSize total, ByteSize rate);

// One thread. Cheap to call for each block: it shows something new five times a second.
class TransferMeter
{
public:
    explicit TransferMeter(Progress& progress) : progress_(progress) {}
    void show(ByteSize done, ByteSize total);

private:
    using Clock = std::chrono::steady_clock;
    Progress& progress_;
    Clock::time_point started_ = Clock::now();
    Clock::time_point shown_{};
};

} // namespace kiln
