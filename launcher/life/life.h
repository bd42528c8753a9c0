// SPDX-License-Identifier: Apache-2.0
// What changes whether an instance runs, with EC2's states: a running one is stopping, then stopped, then pending and
// running again, or shutting down and terminated. Each call is safe beside others on the same instance, and works when
// the supervisor or QEMU was killed. For the launch and the end see launch.h.
#pragma once

#include "core/accelerator.h"
#include "launcher/instance.h"
#include "registry/verified_image.h"
#include "signing/keys.h"

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

// How a guest is asked before it is made to.
struct Asking {
    bool operating_system = true;                   // false: the plug is pulled at once
    std::optional<std::chrono::seconds> patience{}; // none: shutdown_patience
};

// How long a guest has to shut down: 60 s with KVM, 240 s without, where it is slower by that much.
[[nodiscard]] std::chrono::seconds shutdown_patience(const Paths& paths, Accelerator accelerator);

// Returns when the shutdown is under way: the supervisor sees it through, also when the caller dies. Nothing happens to
// an instance that is stopped; one that is stopping has no more patience when `operating_system` is false. Throws
// Error{conflict} for one that is being terminated.
void begin_stop(const Paths& paths, const std::string& id, const Asking& asking, const std::stop_token& stop);

// Returns the instance once it is in that state. One on its way whose supervisor was killed gets another. Throws
// Error{launch} at the deadline, and for another state as soon as it is terminated.
Instance wait_for_state(const Paths& paths, const std::string& id, InstanceState state, std::chrono::seconds limit,
                        const std::stop_token& stop);

// Returns whether the guest rebooted by itself; else it was reset. Throws Error{conflict} unless it runs.
bool reboot(const Paths& paths, const Instance& instance, const Asking& asking, const std::stop_token& stop);

// Starts a stopped instance: `image` is its AMI, just verified; `account_key` signs its identity document. A running
// one stays as it is; one that is pending is waited for. Throws Error{untrusted} when the AMI is not the one that it
// was launched from, Error{conflict} while it is stopping, and as launch() does.
Instance start(const Paths& paths, const registry::VerifiedImage& image, const std::string& id, Accelerator accelerator,
               const std::stop_token& stop, const std::optional<signing::SecretKey>& account_key = {});

// What may change in an instance's life. The type only while it is stopped: Error{conflict}.
struct Modification {
    std::optional<std::string> type{};
    std::optional<ShutdownBehavior> shutdown_behavior{};
    std::optional<bool> termination_protection{};
};
Instance modify(const Paths& paths, const std::string& id, const Modification& modification,
                const std::stop_token& stop);

} // namespace kiln::launcher
