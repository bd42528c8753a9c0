// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/parallel.h"

#include "core/interrupt.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace kiln::registry::remote
{

void in_parallel(std::size_t count, unsigned threads, const std::stop_token& stop,
                 const std::function<Work(const std::stop_token& stop)>& start, const std::function<void()>& tick)
{
    std::stop_source ending;
    const std::stop_callback on_stop(stop, [&] { ending.request_stop(); });
    std::atomic<std::size_t> next = 0;
    std::mutex mutex;
    std::condition_variable changed;
    std::exception_ptr failure;
    std::size_t running = std::min<std::size_t>(std::max(threads, 1U), count);

    const auto run = [&] {
        try {
            const Work work = start(ending.get_token());
            for (std::size_t index = next++; index < count && !ending.stop_requested(); index = next++) {
                work(index);
            }
        } catch (...) {
            const std::lock_guard lock(mutex);
            if (!failure) {
                failure = std::current_exception();
            }
            ending.request_stop();
        }
        const std::lock_guard lock(mutex);
        --running;
        changed.notify_one();
    };
    {
        std::vector<std::jthread> workers;
        for (std::size_t i = running; i > 0; --i) {
            workers.emplace_back(run);
        }
        std::unique_lock lock(mutex);
        while (!changed.wait_for(lock, std::chrono::milliseconds(100), [&] { return running == 0; })) {
            lock.unlock();
            tick();
            lock.lock();
        }
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
    throw_if_interrupted(stop);
    tick();
}

} // namespace kiln::registry::remote
