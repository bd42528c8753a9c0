// SPDX-License-Identifier: Apache-2.0
#include "core/interrupt.h"

#include "core/error.h"

#include <csignal>
#include <pthread.h>
#include <thread>
#include <unistd.h>

namespace kiln
{
namespace
{

std::stop_source& source()
{
    static std::stop_source the_source;
    return the_source;
}

} // namespace

void watch_signals()
{
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        sigaddset(&signals, number);
    }
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
    source(); // constructed before the thread uses it
    std::thread([signals] {
        int number = 0;
        ::sigwait(&signals, &number);
        // Unblocked here first: from now on a second signal takes its default action, the end.
        ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
        source().request_stop();
        for (;;) {
            ::pause();
        }
    }).detach();
}

std::stop_token interrupt_token()
{
    return source().get_token();
}

void throw_if_interrupted(const std::stop_token& stop)
{
    if (stop.stop_requested()) {
        throw Error(ErrorKind::interrupted, "interrupted");
    }
}

} // namespace kiln
