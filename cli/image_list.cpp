// SPDX-License-Identifier: Apache-2.0
// kiln image list: as EC2 shows AMIs, those of the account and those that it may launch; deprecated ones of others and
// what is somebody else's only when asked for.
#include "cli/context.h"
#include "cli/publish.h"
#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kiln::cli
{
namespace
{

struct ListOptions {
    std::string state;
    std::string owner;
    bool all = false;
};

constexpr std::array states{registry::ImageState::available, registry::ImageState::deprecated,
                            registry::ImageState::disabled, registry::ImageState::deregistered};

class Filter
{
public:
    // `account`: the calling one; empty before there is one.
    Filter(const ListOptions& options, std::string account) : account_(std::move(account)), all_(options.all)
    {
        if (!options.state.empty()) {
            const auto* found = std::ranges::find(states, options.state, registry::name_of);
            if (found == states.end()) {
                throw Error(ErrorKind::usage,
                            fmt::format("--state \"{}\" is not a state", printable(options.state, false)),
                            "supported: available, deprecated, disabled, deregistered");
            }
            state_ = *found;
        }
        if (!options.owner.empty()) {
            owner_ = options.owner == "self" ? account_ : options.owner;
            if (options.owner != "self" && !signing::is_account_id(*owner_)) {
                throw Error(ErrorKind::usage,
                            fmt::format("--owner \"{}\" is not an account", printable(options.owner, false)),
                            "an account has 12 digits; `self` is the calling one");
            }
        }
    }

    [[nodiscard]] bool with_deregistered() const { return state_ == registry::ImageState::deregistered; }
    [[nodiscard]] bool shows(const registry::Image& image) const
    {
        if ((state_ && image.state != *state_) || (owner_ && image.holder != *owner_)) {
            return false;
        }
        if (all_ || image.holder == account_) {
            return true;
        }
        // The row of an image of an older Kiln does not have all who may launch it; its launch will tell.
        const bool permitted = image.last_event == 0 || may_launch(image, account_);
        const bool offered = image.state == registry::ImageState::available || state_ == image.state;
        return permitted && offered;
    }

private:
    std::string account_;
    bool all_;
    std::optional<registry::ImageState> state_;
    std::optional<std::string> owner_;
};

void list(Context& context, const ListOptions& options)
{
    const auto account = signing::find_account(context.paths);
    const Filter filter(options, account ? account->id : std::string());
    const auto region = context.open_region();
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"IMAGE ID", "NAME", "VERSION", "STATE", "SIZE", "CREATED"}};
    std::size_t hidden = 0;
    for (const registry::Image& image : region->images(
             filter.with_deregistered() ? registry::Region::Registered::all : registry::Region::Registered::yes)) {
        if (!filter.shows(image)) {
            ++hidden;
            continue;
        }
        json.push_back(to_json(image, context.region));
        rows.push_back({image.id, image.name, image.version.to_string(), std::string(name_of(image.state)),
                        to_string(image.stored_size), image.created.substr(0, 10)});
    }
    std::string text = table(rows);
    if (rows.size() == 1) {
        text = hidden == 0 ? "There is no image yet; `kiln build recipes/library/debian-12.toml` makes one.\n"
                           : fmt::format("No image fits; `kiln image list --all` shows {} more.\n", hidden);
    }
    print_result(context, json, text);
}

} // namespace

void add_image_list(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("list", "The AMIs you hold or may launch, newest first");
    auto options = std::make_shared<ListOptions>();
    command->add_option("--state", options->state, "available, deprecated, disabled, deregistered")->type_name("STATE");
    command->add_option("--owner", options->owner, "Of this account only; `self`: your own")->type_name("ACCOUNT");
    command->add_flag("--all", options->all, "Also what is hidden: others' private ones");
    on_run_in_region(*command, context, [&context, options] { list(context, *options); });
}

} // namespace kiln::cli
