// SPDX-License-Identifier: Apache-2.0
#include "cli/launch_image.h"

#include "core/timestamp.h"
#include "launcher/launch.h"
#include "registry/verified_image.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

namespace kiln::cli
{

launcher::Instance launch_image(const Context& context, const std::string& reference, const LaunchOptions& options,
                                Progress& progress)
{
    if (options.type) {
        static_cast<void>(launcher::find_instance_type(*options.type)); // before the long work
    }
    const auto region = context.open_region();
    const registry::Image image = region->resolve(reference);
    const signing::Account account = signing::ensure_account(context.paths);

    progress.stage(fmt::format("verify {} {}", image.name, image.version.to_string()));
    const registry::VerifiedImage verified =
        registry::verify(*region, image, signing::TrustStore(context.paths.trust), account.id);

    const bundle::LaunchDefaults& launch = verified.manifest().launch;
    const launcher::InstanceType instance_type = launcher::choose_instance_type(options.type, launch);
    if (launch.deprecated_on && *launch.deprecated_on <= iso_now().substr(0, 10)) { // days compare as texts
        progress.note(fmt::format("warning: {} {} is deprecated since {}", image.name, image.version.to_string(),
                                  *launch.deprecated_on));
    }

    progress.stage(fmt::format("launch {} as {}", image.id, instance_type.name));
    return launcher::launch(context.paths, verified,
                            {.type = instance_type,
                             .accelerator = context.accelerator(),
                             .name = options.name,
                             .volumes = options.volumes,
                             .user_data = options.user_data,
                             .account_id = account.id,
                             .metadata = options.metadata},
                            context.stop);
}

std::chrono::seconds ready_timeout(const launcher::Instance& instance)
{
    return instance.accelerator == Accelerator::kvm ? std::chrono::seconds(120) : std::chrono::seconds(600);
}

} // namespace kiln::cli
