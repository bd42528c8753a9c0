// SPDX-License-Identifier: Apache-2.0
// Some blobs at the same time.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <stop_token>

namespace kiln::registry::remote
{

// Does `work(0)` to `work(count - 1)`, in up to `threads` threads; each thread calls what `start` made for it. The
// first error ends the others, by the token that `start` gets, and is thrown. `tick` runs in the caller's thread ten
// times a second, and at the end.
using Work = std::function<void(std::size_t index)>;
void in_parallel(std::size_t count, unsigned threads, const std::stop_token& stop,
                 const std::function<Work(const std::stop_token& stop)>& start, const std::function<void()>& tick);

} // namespace kiln::registry::remote
