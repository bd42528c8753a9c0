// SPDX-License-Identifier: Apache-2.0
#include "cli/image_text.h"

#include "core/text.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

std::string text_of(const Json& object, const char* key)
{
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string permissions_of(const Json& arguments)
{
    std::vector<std::string> parts;
    if (arguments.value("public", false)) {
        parts.emplace_back("public");
    }
    for (const char* key : {"accounts", "organizations"}) {
        for (const Json& name : arguments.value(key, Json::array())) {
            parts.push_back(name.get<std::string>());
        }
    }
    return join(parts, ", ");
}

} // namespace

std::string launch_permission(const registry::Image& image)
{
    if (image.launch_public) {
        return "public";
    }
    std::string text = image.launch_accounts.empty()
                           ? fmt::format("account {}", image.holder)
                           : fmt::format("accounts {}, {}", image.holder, join(image.launch_accounts, ", "));
    if (!image.launch_organizations.empty()) {
        text += fmt::format(", members of {}", join(image.launch_organizations, ", "));
    }
    return text;
}

std::string lifecycle_line(const registry::Image& image)
{
    std::string line =
        fmt::format("{}  {} {}  {}", image.id, image.name, image.version.to_string(), name_of(image.state));
    if (image.state == registry::ImageState::deregistered) {
        return line + "\n";
    }
    if (image.deprecated_at) {
        line += fmt::format(" ({} {})", image.state == registry::ImageState::deprecated ? "since" : "deprecated from",
                            *image.deprecated_at);
    }
    return line + fmt::format(", launched by {}\n", image.launch_public ? "everyone" : launch_permission(image));
}

std::string event_details(const std::string& action, const Json& arguments)
{
    namespace known = registry::action;
    if (action == known::share || action == known::unshare) {
        return permissions_of(arguments);
    }
    if (action == known::deprecate) {
        return arguments.at("at").is_null() ? "never" : "from " + text_of(arguments, "at");
    }
    if (action == known::channel) {
        return (arguments.value("leave", false) ? "leaves " : "") + text_of(arguments, "channel");
    }
    if (action == known::copy) {
        return fmt::format("of {} in region {}", text_of(arguments.at("from"), "image"),
                           text_of(arguments.at("from"), "region"));
    }
    return action == known::publish ? text_of(arguments, "version") : std::string();
}

} // namespace kiln::cli
