// SPDX-License-Identifier: Apache-2.0
// From an AMI reference to a running instance: resolve, verify, launch. `run` and `test` share it.
#pragma once

#include "cli/context.h"
#include "cli/verification.h"
#include "core/progress.h"
#include "launcher/instance.h"
#include "launcher/launch.h"
#include "launcher/storage/volume_request.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kiln::cli
{

struct LaunchOptions {
    std::optional<std::string> type{}; // none: what the AMI says
    std::optional<std::string> name{};
    launcher::VolumeRequests volumes{};
    bool keep_volumes = true;
    std::optional<launcher::KeyPair> key_pair{};
    std::optional<std::string> user_data{};
    launcher::MetadataOptions metadata{};
    bool allow_unsigned = false;
    bool untested = false; // it is launched to be tested
    std::string verify = verify_changed;
    launcher::ShutdownBehavior shutdown_behavior = launcher::ShutdownBehavior::stop;
    bool termination_protection = false;
    launcher::Tags tags{};
    unsigned count = 1;
    std::optional<launcher::ClientToken> client_token{};
    launcher::NetworkChoice network{};
    bool cold = false;                                      // also where there is a template of the AMI
    std::optional<std::filesystem::path> template_folder{}; // as in launcher::LaunchRequest
};

// The option of that name, which both commands have.
void add_allow_unsigned(CLI::App& command, bool& allow);

[[nodiscard]] std::vector<launcher::Instance> launch_image(const Context& context, const std::string& reference,
                                                           const LaunchOptions& options, Progress& progress);

// The same for an instance that was stopped: its AMI is verified again. One whose AMI was unsigned at its launch needs
// no `allow_unsigned`, as that is on its record.
[[nodiscard]] launcher::Instance start_instance(const Context& context, const launcher::Instance& instance,
                                                bool allow_unsigned);

// How long a guest may take until it is ready: TCG is some ten times slower than KVM.
[[nodiscard]] std::chrono::seconds ready_timeout(const Context& context, const launcher::Instance& instance);

} // namespace kiln::cli
