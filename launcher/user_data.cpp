// SPDX-License-Identifier: Apache-2.0
#include "launcher/user_data.h"

#include "core/error.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <string>

namespace kiln::launcher
{
namespace
{

constexpr std::array<std::string_view, 7> user_data_kinds{"script",  "cloud-config", "multipart", "gzip",
                                                          "include", "boothook",     "other"};

// A MIME header may be any of several, and its case does not matter.
bool begins_as_mime(std::string_view user_data)
{
    std::string start(user_data.substr(0, 13));
    for (char& c : start) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return start.starts_with("content-type:") || start.starts_with("mime-version:");
}

} // namespace

std::string_view name_of(UserDataKind kind) noexcept
{
    return user_data_kinds[static_cast<std::size_t>(kind)];
}

UserDataKind kind_of_user_data(std::string_view user_data)
{
    if (user_data.starts_with("\x1f\x8b")) {
        return UserDataKind::gzip;
    }
    if (begins_as_mime(user_data)) {
        return UserDataKind::multipart;
    }
    struct Beginning {
        std::string_view text;
        UserDataKind kind;
    };
    constexpr std::array<Beginning, 5> beginnings{{{"#!", UserDataKind::script},
                                                   {"#cloud-config", UserDataKind::cloud_config},
                                                   {"## template: jinja", UserDataKind::cloud_config},
                                                   {"#include", UserDataKind::include},
                                                   {"#cloud-boothook", UserDataKind::boothook}}};
    for (const Beginning& beginning : beginnings) {
        if (user_data.starts_with(beginning.text)) {
            return beginning.kind;
        }
    }
    return UserDataKind::other;
}

void require_user_data(std::string_view user_data)
{
    if (user_data.size() > longest_user_data.bytes()) {
        throw Error(ErrorKind::usage,
                    fmt::format("the user data has {} bytes; an instance takes up to {}", user_data.size(),
                                to_string(longest_user_data)),
                    "let a short script fetch the rest, or compress it with gzip, which cloud-init reads");
    }
}

} // namespace kiln::launcher
