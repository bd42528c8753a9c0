// SPDX-License-Identifier: Apache-2.0
// The same work on many things, on all processors that this process may use.
#pragma once

#include <cstddef>
#include <functional>

namespace kiln
{

// How many processors the process may run on, as `taskset` and a container's cpuset have it; at least 1.
[[nodiscard]] std::size_t usable_processors();

// Calls work(0) to work(count - 1), each once, in the caller's thread and others. Returns when all have ended; throws
// what the first that failed threw, and begins no other one after that.
void in_parallel(std::size_t count, const std::function<void(std::size_t)>& work);

} // namespace kiln
