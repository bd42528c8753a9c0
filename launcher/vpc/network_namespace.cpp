// SPDX-License-Identifier: Apache-2.0
#include "launcher/vpc/network_namespace.h"

#include "core/error.h"
#include "core/process.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace kiln::launcher
{
namespace
{

constexpr std::chrono::seconds program_limit{20};

Error refused(const std::string& doing)
{
    return {ErrorKind::launch, fmt::format("{}: {}", doing, std::strerror(errno)),
            "`kiln doctor` tells what this host lacks; --network user needs none of it"};
}

void run_script(const std::vector<std::string>& argv, const std::string& script, std::string_view doing)
{
    run_or_throw({.argv = argv, .input = script, .timeout = program_limit}, doing);
}

} // namespace

NetworkNamespace::NetworkNamespace()
{
    std::promise<void> promise;
    std::future<void> ready = promise.get_future();
    thread_ = std::thread([this, promise = std::move(promise)]() mutable { serve(std::move(promise)); });
    try {
        ready.get();
    } catch (...) {
        thread_.join();
        throw;
    }
}

NetworkNamespace::~NetworkNamespace()
{
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void NetworkNamespace::serve(std::promise<void> ready)
{
    if (::unshare(CLONE_NEWNET) != 0) {
        ready.set_exception(std::make_exception_ptr(refused("making a network namespace")));
        return;
    }
    ready.set_value();
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ended_ || task_.valid(); });
        if (!task_.valid()) {
            return;
        }
        Task task = std::exchange(task_, {});
        lock.unlock();
        task();
        lock.lock();
    }
}

void NetworkNamespace::inside(const std::function<void()>& work)
{
    Task task(work);
    std::future<void> done = task.get_future();
    {
        const std::lock_guard lock(mutex_);
        task_ = std::move(task);
    }
    changed_.notify_all();
    done.get();
}

FileDescriptor NetworkNamespace::open_tap(const std::string& name)
{
    FileDescriptor tap;
    inside([&] {
        // The device belongs to the namespace of the thread that opens the file.
        tap = FileDescriptor(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
        ifreq request{};
        request.ifr_flags = IFF_TAP | IFF_NO_PI;
        name.copy(request.ifr_name, sizeof request.ifr_name - 1);
        if (!tap || ::ioctl(tap.get(), TUNSETIFF, &request) != 0) {
            throw refused(fmt::format("making the tap device {} (/dev/net/tun)", name));
        }
    });
    return tap;
}

void NetworkNamespace::run_ip(const std::string& script)
{
    inside([&] { run_script({"ip", "-batch", "-"}, script, "setting a network's devices up"); });
}

void NetworkNamespace::run_nft(const std::string& script)
{
    inside([&] { run_script({"nft", "-f", "-"}, script, "loading a network's rules"); });
}

void NetworkNamespace::set_sysctl(const std::string& name, const std::string& value)
{
    inside([&] {
        const std::string path = "/proc/sys/net/" + name;
        const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (!file || ::write(file.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
            throw refused("writing " + path);
        }
    });
}

} // namespace kiln::launcher
