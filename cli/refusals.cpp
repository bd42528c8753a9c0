// SPDX-License-Identifier: Apache-2.0
#include "cli/refusals.h"

#include "core/text.h"

#include <exception>

namespace kiln::cli
{

void note_refusal(const registry::Region& region, const registry::Image& image, const std::string& account,
                  std::string_view what, const Error& error) noexcept
{
    if (error.kind() != ErrorKind::permission_denied && error.kind() != ErrorKind::untrusted) {
        return;
    }
    try {
        constexpr std::size_t longest = 1000;
        region.note({.action = "refused",
                     .account = account,
                     .image = image.id,
                     .details = {{"what", what},
                                 {"kind", name_of(error.kind())},
                                 {"message", printable(std::string_view(error.what()).substr(0, longest), false)}}});
    } catch (const std::exception&) { // a region of somebody else's, or a full disk
    }
}

} // namespace kiln::cli
