// SPDX-License-Identifier: Apache-2.0
// VerifiedImage -> Instance, and its end.
#pragma once

#include "core/accelerator.h"
#include "core/progress.h"
#include "launcher/instance.h"
#include "launcher/instance_type.h"
#include "launcher/keys/key_pair.h"
#include "launcher/storage/volume_request.h"
#include "launcher/vpc/membership.h"
#include "launcher/warm/template_choice.h"
#include "registry/verified_image.h"
#include "signing/keys.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

struct LaunchRequest {
    InstanceType type;
    Accelerator accelerator = Accelerator::tcg;
    std::optional<std::string> name;      // unique among the instances that exist
    VolumeRequests volumes;               // other than the AMI has them
    bool keep_volumes = true;             // false: all that it is launched with goes with it, whatever the AMI says
    std::optional<KeyPair> key_pair;      // whose public key goes into the guest
    std::optional<std::string> user_data; // for cloud-init, up to longest_user_data
    std::string account_id;               // the caller's
    std::optional<signing::SecretKey> account_key; // signs the instance's identity document
    MetadataOptions metadata;
    ShutdownBehavior shutdown_behavior = ShutdownBehavior::stop;
    bool termination_protection = false;
    Tags tags;
    unsigned count = 1; // 1 to most_instances
    std::optional<ClientToken> client_token;
    NetworkChoice network;
    std::optional<WarmOptions> warm;                      // none: cold, without a look at templates
    std::optional<std::filesystem::path> template_folder; // the instance is to become a template, in this WorkFolder,
                                                          // and gets nothing that is not for all of its clones
};

inline constexpr unsigned most_instances = 100; // of one launch

// Makes the instances' folders, disks and launch keys, starts their supervisors and returns when QEMU runs each guest.
// They come up all, or nothing of any is left: also when the third of five does not start. With a client token, those
// that were launched with it before are returned, and only missing ones launched (a `kiln run` was killed). Throws
// Error{conflict} for a name that is taken, {usage, no_space, missing_tool, launch, interrupted}.
[[nodiscard]] std::vector<Instance> launch(const Paths& paths, const registry::VerifiedImage& image,
                                           const LaunchRequest& request, const std::stop_token& stop);

// The instances, running or not, that were launched with that token, oldest first. Throws Error{conflict} when that was
// with other parameters (EC2: IdempotentParameterMismatch), Error{usage} for what is no token.
[[nodiscard]] std::vector<Instance> find_launched(const Paths& paths, const ClientToken& token);

// Returns when the guest itself says that it is up: its agent answers and, where it runs systemd,
// `systemctl is-system-running --wait` has ended; the guest's word ("running", "degraded", or
// "agent" for a guest without systemd) is returned. Throws Error{launch} with the console's tail when QEMU
// ends or `timeout` passes.
std::string wait_until_ready(const Paths& paths, const Instance& instance, std::chrono::seconds timeout,
                             const std::stop_token& stop);

// Ends QEMU and the supervisor and removes all that is the instance's but its record and event log, from which the bill
// is made. Works in every state, also when the supervisor or QEMU is gone already. Termination protection is the
// caller's to look at. The guest is asked to shut down first where there is `patience`.
void terminate(const Paths& paths, const Instance& instance, std::chrono::seconds patience = {},
               const std::stop_token& stop = {});

// What `kiln-supervisor supervise ID` runs: starts QEMU (or adopts the one that runs), serves the control
// socket and returns when QEMU has ended.
int supervise(const Paths& paths, const std::string& id);

// What `kiln-supervisor serve-network ID` runs, the network helper: returns when the instance's QEMU has ended.
int serve_network(const Paths& paths, const std::string& id);

// What `kiln-supervisor qemu-command ID` runs, for bench/launch: prints the command of the instance's QEMU with paths
// in place of the descriptors that it really gets, each word with a NUL behind it.
int print_qemu_command(const Paths& paths, const std::string& id);

} // namespace kiln::launcher
