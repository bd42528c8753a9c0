// SPDX-License-Identifier: Apache-2.0
// kiln image sign AMI: one more signature, by this home's key, for policies that want several.
#include "cli/context.h"
#include "core/error.h"
#include "registry/verified_image.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

// Only the policy may still want something: whoever signs what nobody signed, or what was changed, would vouch for it.
void require_verified_but_for_policy(const registry::Decision& decision, const registry::Image& image)
{
    for (const registry::Check& check : decision.checks) {
        if (!check.passed && check.name != "policy") {
            throw Error(ErrorKind::untrusted,
                        fmt::format("{} {} ({}) is not signed once more: {}: {}", image.name, image.version.to_string(),
                                    image.id, check.name, check.detail),
                        fmt::format("`kiln image verify {}` shows every check", image.id));
        }
    }
}

void sign_image(const Context& context, const std::string& reference)
{
    const auto region = context.open_region();
    const registry::Image image = region->resolve(reference, context.trust());
    const signing::Account account = signing::ensure_account(context.paths);
    if (account.id != image.owner) {
        throw Error(ErrorKind::permission_denied,
                    fmt::format("{} {} belongs to account {}, and this home is account {}", image.name,
                                image.version.to_string(), image.owner, account.id),
                    "a signature counts when it is by a trusted key of the owner");
    }
    const signing::TrustStore trust = context.trust();
    require_verified_but_for_policy(registry::decide(*region, image, trust, account.id), image);
    const signing::SecretKey key = context.account_key();
    region->sign(image, key);
    const bool passed = registry::decide(*region, image, trust, account.id).passed();
    const std::string id = key.public_key().key_id();
    print_result(context, {{"image_id", image.id}, {"key_id", id}, {"verified", passed}},
                 fmt::format("{} {} {} is signed by {}{}\n", image.id, image.name, image.version.to_string(), id,
                             passed ? "" : "; the policy wants more (`kiln image verify`)"));
}

} // namespace

void add_image_sign(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("sign", "Add this home's signature to an AMI of its account");
    auto reference = std::make_shared<std::string>();
    command->add_option("image", *reference, image_reference_help)->required()->type_name("AMI");
    on_run_in_region(*command, context, [&context, reference] { sign_image(context, *reference); });
}

} // namespace kiln::cli
