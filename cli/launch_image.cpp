// SPDX-License-Identifier: Apache-2.0
#include "cli/launch_image.h"

#include "cli/refusals.h"
#include "core/error.h"
#include "core/text.h"
#include "launcher/launch.h"
#include "launcher/life/life.h"
#include "registry/verified_image.h"

#include <fmt/format.h>

#include <cstdlib>

namespace kiln::cli
{

namespace
{

// One line, where a template of the AMI was not used.
void note_cold_launches(const std::vector<launcher::Instance>& launched, bool asked_for)
{
    for (const launcher::Instance& instance : launched) {
        if (!asked_for && instance.warm && !instance.warm->launched_warm) {
            fmt::print(stderr, "kiln: {} is launched cold: {}\n", instance.id, printable(instance.warm->reason, false));
        }
    }
}

void warn_of_unsigned(const registry::VerifiedImage& verified, const char* verb)
{
    if (const auto& reason = verified.unsigned_reason()) {
        // Not through a Progress, which may be quiet.
        fmt::print(stderr, "kiln: WARNING: {} {} ({}) IS NOT SIGNED BY ANYBODY YOU TRUST and is {} all the same: {}\n",
                   verified.image().name, verified.image().version.to_string(), verified.image().id, verb,
                   printable(*reason, false));
    }
}

// A launch asks for no passphrase: with an encrypted key, and none in the environment, the document is not signed.
std::optional<signing::SecretKey> identity_key(const Context& context)
{
    const bool told =
        std::getenv("KILN_KEY_PASSPHRASE") != nullptr || std::getenv("KILN_KEY_PASSPHRASE_FILE") != nullptr;
    try {
        return signing::load_account_key(
            context.paths, told ? signing::PassphraseSource([] { return find_passphrase("the account's key"); })
                                : signing::PassphraseSource());
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::permission_denied && error.kind() != ErrorKind::untrusted) { // or revoked
            throw;
        }
        return std::nullopt;
    }
}

} // namespace

std::vector<launcher::Instance> launch_image(const Context& context, const std::string& reference,
                                             const LaunchOptions& options, Progress& progress)
{
    if (options.type) {
        static_cast<void>(
            launcher::find_instance_type(*options.type, launcher::user_types(context.paths))); // before the long work
    }
    const auto region = context.open_region();
    const registry::Image image = region->resolve(reference, context.trust());
    const signing::Account account = signing::ensure_account(context.paths);

    progress.stage(fmt::format("verify {} {}", image.name, image.version.to_string()));
    registry::VerificationRecord record = verification_record(context);
    const registry::VerifiedImage verified = [&] {
        try {
            return registry::verify(
                *region, image, context.trust(), account.id,
                {.unsigned_images = options.allow_unsigned ? registry::Unsigned::allow : registry::Unsigned::refuse,
                 .reading = reading_of(options.verify),
                 .untested = options.untested ? registry::Untested::allow : registry::Untested::refuse,
                 .record = &record});
        } catch (const Error& error) {
            note_refusal(*region, image, account.id, "launch", error);
            throw;
        }
    }();
    warn_of_unsigned(verified, "launched");

    const bundle::LaunchDefaults& launch = verified.manifest().launch;
    const launcher::InstanceType instance_type =
        launcher::choose_instance_type(options.type, launch, launcher::user_types(context.paths));
    if (verified.image().state == registry::ImageState::deprecated) {
        progress.note(fmt::format("warning: {} {} is deprecated since {}", image.name, image.version.to_string(),
                                  verified.image().deprecated_at.value_or("an unknown time")));
    }

    progress.stage(fmt::format("launch {} as {}", image.id, instance_type.name));
    const signing::TrustStore trust = context.trust();
    std::optional<launcher::WarmOptions> warm;
    if (!options.template_folder) {
        warm.emplace(launcher::WarmOptions{.region = *region, .trust = trust, .record = &record, .cold = options.cold});
    }
    std::vector<launcher::Instance> launched =
        launcher::launch(context.paths, verified,
                         {.type = instance_type,
                          .accelerator = context.accelerator(),
                          .name = options.name,
                          .volumes = options.volumes,
                          .keep_volumes = options.keep_volumes,
                          .key_pair = options.key_pair,
                          .user_data = options.user_data,
                          .account_id = account.id,
                          .account_key = identity_key(context),
                          .metadata = options.metadata,
                          .shutdown_behavior = options.shutdown_behavior,
                          .termination_protection = options.termination_protection,
                          .tags = options.tags,
                          .count = options.count,
                          .client_token = options.client_token,
                          .network = options.network,
                          .warm = warm,
                          .template_folder = options.template_folder},
                         context.stop);
    note_cold_launches(launched, options.cold);
    return launched;
}

launcher::Instance start_instance(const Context& context, const launcher::Instance& instance, bool allow_unsigned)
{
    if (instance.state == launcher::InstanceState::running) {
        return instance;
    }
    const auto region = context.open_region(instance.region);
    const auto image = region->find_id(instance.image_id);
    if (!image) {
        throw Error(
            ErrorKind::not_found,
            fmt::format("the AMI {} of {} is gone from region {}", instance.image_id, instance.id, instance.region),
            "what can't be verified is not started");
    }
    const signing::Account account = signing::ensure_account(context.paths);
    registry::VerificationRecord record = verification_record(context);
    const registry::VerifiedImage verified =
        registry::verify(*region, *image, context.trust(), account.id,
                         {.unsigned_images = allow_unsigned || instance.unsigned_image ? registry::Unsigned::allow
                                                                                       : registry::Unsigned::refuse,
                          .reading = registry::Reading::changed,
                          .record = &record});
    warn_of_unsigned(verified, "started");
    return launcher::start(context.paths, verified, instance.id, context.accelerator(), context.stop,
                           identity_key(context));
}

void add_allow_unsigned(CLI::App& command, bool& allow)
{
    command.add_flag("--allow-unsigned", allow,
                     "DANGEROUS: launch it even if no trusted key signed it; noted on the instance for good");
}

std::chrono::seconds ready_timeout(const Context& context, const launcher::Instance& instance)
{
    return host_patience(context.paths, instance.accelerator,
                         std::chrono::seconds(instance.accelerator == Accelerator::kvm ? 120 : 600));
}

} // namespace kiln::cli
