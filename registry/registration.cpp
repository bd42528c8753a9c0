// SPDX-License-Identifier: Apache-2.0
// How an image comes into a region: its first event and its row, together.
#include "core/error.h"
#include "registry/lifecycle.h"
#include "registry/region_state.h"

#include <fmt/format.h>

namespace kiln::registry
{

Image Region::State::register_image(Image image, std::string_view action, const Json& arguments,
                                    const Signer& signer) const
{
    // The signer's key is known here; what other accounts' events are worth is asked when an image is verified.
    const signing::KeysOfAccount keys = [&](std::string_view account, std::string_view /*time*/) {
        return account == signer.account ? std::vector{signer.key.public_key()} : std::vector<signing::PublicKey>();
    };
    const EventLog log = events();
    log.catch_up(keys);
    const signing::Event event = log.next({.account = signer.account,
                                           .image = image.id,
                                           .manifest = image.manifest,
                                           .action = std::string(action),
                                           .arguments = arguments},
                                          std::nullopt);
    apply(image, event);
    catalogue.insert(image, {event.number, event.image, signing::sign_event(event, signer.key)});
    log.catch_up(keys);
    return image;
}

void Region::State::require_free(const std::string& image_name, const SemanticVersion& version,
                                 const std::string& architecture) const
{
    const auto taken = catalogue.find(image_name, version, architecture);
    if (!taken) {
        return;
    }
    const std::string title = fmt::format("{} {} ({})", image_name, version.to_string(), architecture);
    throw Error(ErrorKind::conflict,
                taken->state == ImageState::deregistered
                    ? fmt::format("{} was in region {} as {}, which was deregistered", title, name, taken->id)
                    : fmt::format("{} is already in region {} as {}", title, name, taken->id),
                "a published image never changes; give the new one a higher version or another name");
}

} // namespace kiln::registry
