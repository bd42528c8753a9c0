// SPDX-License-Identifier: Apache-2.0
// An instance of an AMI, booted, becomes a template of warm launches: `kiln image warm` boots one for just that, and a
// smoke test saves its own on the way.
#pragma once

#include "core/files.h"
#include "core/progress.h"
#include "launcher/launch.h"
#include "launcher/warm/warm_template.h"
#include "signing/keys.h"

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

// Where kiln-clone-agent lies in the guest; its folder is a file system of its own, as /run runs no programs.
inline constexpr const char* clone_agent_path = "/run/kiln/clone-agent";

// Where the template goes, and whose it is: of the account that launched the instance.
struct TemplateOwner {
    const registry::Region& region;
    const registry::Image& image;
    const signing::SecretKey& key;
    registry::VerificationRecord* record = nullptr; // is told of the new files
};

// A template on its way, in a folder that goes with this object unless finish() has put it in its place. What a killed
// one leaves, the instance's own supervisor ends, or the next one.
class TemplateMaking
{
public:
    // Throws Error{io, no_space}.
    explicit TemplateMaking(const Paths& paths);

    // For LaunchRequest::template_folder. The instance must not outlive this object.
    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return work_.path(); }

    // Saves the guest that was launched for this folder and is ready; `ready` is its word (wait_until_ready). It stands
    // still for that, and then goes on as what it was, also when this fails. Throws Error{launch} when it can't be
    // frozen, Error{no_space, io, conflict, interrupted}.
    void save(const Instance& instance, const std::string& ready, const std::stop_token& stop);

    // Packs, signs and attaches it to the image, in the place of an older one of the same shape and account, if any.
    // Once it is saved, and the instance has ended. Throws Error{io, no_space}.
    [[nodiscard]] StoredTemplate finish(const TemplateOwner& owner);

private:
    using Clock = std::chrono::steady_clock;

    const Paths& paths_;
    WorkFolder work_;
    const Clock::time_point begun_ = Clock::now();
    std::optional<WarmTemplate> template_; // all but its files, once it is saved
};

struct TemplateRequest {
    InstanceType type;
    Accelerator accelerator = Accelerator::tcg;
    std::string account_id;
    TemplateOwner owner;
    std::chrono::seconds boot_limit{600};
};

// Launches the image by the ordinary way as an instance without user data, waits until it is ready, saves it and ends
// it. Throws as launch(), wait_until_ready() and TemplateMaking.
[[nodiscard]] StoredTemplate make_template(const Paths& paths, const registry::VerifiedImage& image,
                                           const TemplateRequest& request, Progress& progress,
                                           const std::stop_token& stop);

// Whether the owner of that WorkFolder was killed, or has removed it.
[[nodiscard]] bool is_abandoned_folder(const std::filesystem::path& folder);

// Ends instances that were to become templates and whose maker was killed. Returns how many.
int end_abandoned_templates(const Paths& paths);

} // namespace kiln::launcher
