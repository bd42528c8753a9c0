// SPDX-License-Identifier: Apache-2.0
// An AMI, booted once, becomes a template of warm launches.
#pragma once

#include "core/progress.h"
#include "launcher/launch.h"
#include "launcher/warm/warm_template.h"
#include "signing/keys.h"

#include <chrono>
#include <stop_token>

namespace kiln::launcher
{

// Where kiln-clone-agent lies in the guest; its folder is a file system of its own, as /run runs no programs.
inline constexpr const char* clone_agent_path = "/run/kiln/clone-agent";

struct TemplateRequest {
    InstanceType type;
    Accelerator accelerator = Accelerator::tcg;
    std::string account_id;
    const signing::SecretKey& key; // of that account
    const signing::TrustStore& trust;
    registry::VerificationRecord* record = nullptr; // is told of the new files
    std::chrono::seconds boot_limit{600};
};

// Launches the image by the ordinary way as an instance without user data, waits until it is ready, saves it and ends
// it. An older template of the same shape is replaced. What a killed one leaves, the next one or its own supervisor
// removes. Throws as launch() and wait_until_ready(), and Error{launch} when the guest can't be frozen.
[[nodiscard]] WarmTemplate make_template(const Paths& paths, const registry::VerifiedImage& image,
                                         const TemplateRequest& request, Progress& progress,
                                         const std::stop_token& stop);

// Whether the owner of that WorkFolder was killed, or has removed it.
[[nodiscard]] bool is_abandoned_folder(const std::filesystem::path& folder);

// Ends instances that were to become templates and whose maker was killed. Returns how many.
int end_abandoned_templates(const Paths& paths);

} // namespace kiln::launcher
