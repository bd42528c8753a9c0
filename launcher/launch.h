// SPDX-License-Identifier: Apache-2.0
// VerifiedImage -> Instance, and its end.
#pragma once

#include "core/accelerator.h"
#include "core/progress.h"
#include "launcher/instance.h"
#include "launcher/instance_type.h"
#include "launcher/volume_sizes.h"
#include "registry/verified_image.h"

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

struct LaunchRequest {
    InstanceType type;
    Accelerator accelerator = Accelerator::tcg;
    std::optional<std::string> name;      // unique among the instances that exist
    VolumeSizes volumes;                  // that are to be larger than the AMI's
    std::optional<std::string> user_data; // for cloud-init, up to longest_user_data
    std::string account_id;               // the caller's
    MetadataOptions metadata;
};

// Makes the instance's folder, disks and launch key, starts its supervisor and returns when QEMU
// runs the guest. On any error nothing of the instance is left. Throws Error{conflict} for a name
// that is taken, {usage, no_space, missing_tool, launch, interrupted}.
[[nodiscard]] Instance launch(const Paths& paths, const registry::VerifiedImage& image, const LaunchRequest& request,
                              const std::stop_token& stop);

// Returns when the guest itself says that it is up: its agent answers and, where it runs systemd,
// `systemctl is-system-running --wait` has ended; the guest's word ("running", "degraded", or
// "agent" for a guest without systemd) is returned. Throws Error{launch} with the console's tail when QEMU
// ends or `timeout` passes.
std::string wait_until_ready(const Paths& paths, const Instance& instance, std::chrono::seconds timeout,
                             const std::stop_token& stop);

// Ends QEMU and the supervisor and removes all that is the instance's. Works in every state, also
// when the supervisor or QEMU is gone already.
void terminate(const Paths& paths, const Instance& instance);

// What `kiln supervise ID` runs: starts QEMU (or adopts the one that runs), serves the control
// socket and returns when QEMU has ended.
int supervise(const Paths& paths, const std::string& id);

// What `kiln network ID` runs, the network helper: returns when the instance's QEMU has ended.
int serve_network(const Paths& paths, const std::string& id);

} // namespace kiln::launcher
