// SPDX-License-Identifier: Apache-2.0
// Internal: a network namespace of its own, held by a thread that is in it; the rest of the process stays where it was,
// and reaches the host's network as before. The process needs CAP_SYS_ADMIN and CAP_NET_ADMIN in its user namespace.
#pragma once

#include "core/file_descriptor.h"

#include <functional>
#include <future>
#include <string>
#include <thread>

namespace kiln::launcher
{

class NetworkNamespace
{
public:
    // Throws Error{launch} with what the kernel refused.
    NetworkNamespace();
    ~NetworkNamespace();
    NetworkNamespace(const NetworkNamespace&) = delete;
    NetworkNamespace& operator=(const NetworkNamespace&) = delete;

    // Does `work` inside, and waits; what it throws is thrown here. Programs that it starts are inside too.
    void inside(const std::function<void()>& work);

    // A tap device of that name; it is gone when the descriptor and its copies are closed. Non-blocking.
    [[nodiscard]] FileDescriptor open_tap(const std::string& name);
    // Runs `ip -batch -` and `nft -f -` with these scripts.
    void run_ip(const std::string& script);
    void run_nft(const std::string& script);
    // Writes /proc/sys/net/NAME.
    void set_sysctl(const std::string& name, const std::string& value);

private:
    using Task = std::packaged_task<void()>;
    void serve(std::promise<void> ready);

    std::mutex mutex_;
    std::condition_variable changed_;
    Task task_; // valid: to be done
    bool ended_ = false;
    std::thread thread_;
};

} // namespace kiln::launcher
