// SPDX-License-Identifier: Apache-2.0
// kiln image list: as EC2 shows AMIs, those of the account and those that it may launch; deprecated ones of others and
// what is somebody else's only when asked for. `--from` names EC2's catalogues, `--filter` is describe-images'.
#include "cli/context.h"
#include "cli/publish.h"
#include "cli/quick_start.h"
#include "core/error.h"
#include "core/text.h"
#include "registry/organizations.h"
#include "registry/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace kiln::cli
{
namespace
{

struct ListOptions {
    std::string state;
    std::string owner;
    std::string from;
    std::vector<std::string> filters;
    bool all = false;
};

constexpr std::array states{registry::ImageState::available, registry::ImageState::deprecated,
                            registry::ImageState::disabled, registry::ImageState::deregistered};

registry::ImageState parse_state(const std::string& text)
{
    const auto* found = std::ranges::find(states, text, registry::name_of);
    if (found == states.end()) {
        throw Error(ErrorKind::usage, fmt::format("--state \"{}\" is not a state", printable(text, false)),
                    "supported: available, deprecated, disabled, deregistered");
    }
    return *found;
}

// Who asks, and what this home knows of others.
struct Viewer {
    std::string account; // empty before there is one
    std::vector<std::string> organizations;
    registry::Policy policy;

    [[nodiscard]] bool may_launch(const registry::Image& image) const
    {
        // The row of an image of an older Kiln does not have all who may launch it; its launch will tell.
        return image.last_event == 0 || registry::may_launch(image, account, organizations);
    }
    [[nodiscard]] const registry::Publisher* publisher_of(const registry::Image& image) const
    {
        return image.owner == account ? nullptr : policy.verified_publisher(image.owner);
    }
};

class Selection
{
public:
    Selection(const ListOptions& options, const Viewer& viewer)
        : viewer_(viewer), from_(options.from), all_(options.all),
          state_(options.state.empty() ? std::nullopt : std::optional(parse_state(options.state)))
    {
        if (!options.owner.empty()) {
            owner_ = options.owner == "self" ? viewer.account : options.owner;
            if (options.owner != "self" && !signing::is_account_id(*owner_)) {
                throw Error(ErrorKind::usage,
                            fmt::format("--owner \"{}\" is not an account", printable(options.owner, false)),
                            "an account has 12 digits; `self` is the calling one");
            }
        }
        for (const std::string& text : options.filters) {
            query_.filters.push_back(registry::parse_image_filter(text));
            asks_for_state_ = asks_for_state_ || query_.filters.back().name == "state";
        }
        if (from_ == "custom") {
            query_.filters.push_back({"source", {"recipe"}});
        }
        query_.with_deregistered = state_ == registry::ImageState::deregistered || asks_for_state_;
    }

    [[nodiscard]] const registry::ImageQuery& query() const { return query_; }
    [[nodiscard]] bool shows(const registry::Image& image) const
    {
        if ((state_ && image.state != *state_) || (owner_ && image.holder != *owner_) || !comes_from(image)) {
            return false;
        }
        if (all_ || image.holder == viewer_.account) {
            return true;
        }
        const bool offered = image.state == registry::ImageState::available || state_ == image.state || asks_for_state_;
        return viewer_.may_launch(image) && offered;
    }

private:
    [[nodiscard]] bool comes_from(const registry::Image& image) const
    {
        const bool mine = image.holder == viewer_.account;
        if (from_ == "my") {
            return mine;
        }
        if (from_ == "custom") { // not what was copied or imported from somebody else
            return mine && image.owner == viewer_.account;
        }
        if (from_ == "community") {
            return image.launch_public && !mine;
        }
        return from_ != "marketplace" || viewer_.publisher_of(image) != nullptr;
    }

    const Viewer& viewer_;
    std::string from_;
    bool all_;
    std::optional<registry::ImageState> state_;
    std::optional<std::string> owner_;
    bool asks_for_state_ = false;
    registry::ImageQuery query_;
};

// Null where there is nothing to say.
Json publisher_json(const registry::Publisher* publisher, const registry::Image& image)
{
    if (publisher == nullptr) {
        return nullptr;
    }
    const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
    Json json{{"account", publisher->account}, {"name", publisher->name}, {"url", text(publisher->url)}};
    const registry::Product* product = publisher->product_of(image.name);
    json["product"] =
        product == nullptr
            ? Json()
            : Json{{"title", product->title}, {"description", text(product->description)}, {"url", text(product->url)}};
    return json;
}

std::vector<std::string> row_of(const registry::Image& image, const registry::Publisher* publisher, bool marketplace)
{
    std::vector<std::string> row{image.id, image.name, image.version.to_string(), std::string(name_of(image.state))};
    if (marketplace) {
        const registry::Product* product = publisher->product_of(image.name);
        row.push_back(printable(publisher->name, false));
        row.push_back(product == nullptr ? "-" : printable(product->title, false));
    } else {
        row.push_back(to_string(image.stored_size));
        row.push_back(image.created.substr(0, 10));
    }
    return row;
}

std::string nothing_to_show(const ListOptions& options, std::size_t hidden, bool any)
{
    if (!any) {
        return "There is no image yet; `kiln build recipes/library/debian-12.toml` makes one.\n";
    }
    return options.from.empty() && options.filters.empty() && hidden > 0
               ? fmt::format("No image fits; `kiln image list --all` shows {} more.\n", hidden)
               : "No image fits.\n";
}

void list(Context& context, const ListOptions& options)
{
    const auto account = signing::find_account(context.paths);
    Viewer viewer{.account = account ? account->id : std::string(), .organizations = {}, .policy = {}};
    viewer.organizations = registry::organizations_of(context.paths.trust, viewer.account);
    viewer.policy = registry::find_policy(context.paths.trust).value_or(registry::Policy());
    const Selection selection(options, viewer);
    const auto region = context.open_region();
    const bool marketplace = options.from == "marketplace";
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"IMAGE ID", "NAME", "VERSION", "STATE",
                                                   marketplace ? "PUBLISHER" : "SIZE",
                                                   marketplace ? "PRODUCT" : "CREATED"}};
    std::size_t hidden = 0;
    for (const registry::Image& image : region->images(selection.query())) {
        if (!selection.shows(image)) {
            ++hidden;
            continue;
        }
        const registry::Publisher* publisher = viewer.publisher_of(image);
        if (context.json) {
            json.push_back(to_json(image, context.region));
            json.back()["publisher"] = publisher_json(publisher, image);
        } else {
            rows.push_back(row_of(image, publisher, marketplace));
        }
    }
    const bool any = hidden > 0 || !options.filters.empty() || !options.from.empty();
    print_result(context, json, rows.size() == 1 ? nothing_to_show(options, hidden, any) : table(rows));
}

// The library's recipes, and the newest image that the account has of each.
void list_quick_starts(Context& context, const ListOptions& options)
{
    if (!options.filters.empty() || !options.state.empty() || !options.owner.empty()) {
        throw Error(ErrorKind::usage, "filters are for images, and the quick start is a list of recipes",
                    "leave --filter, --state and --owner out, or leave --from out");
    }
    const auto region = context.open_region();
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"NAME", "VERSION", "ARCHITECTURE", "IMAGE ID", "DESCRIPTION"}};
    for (const QuickStart& one : quick_starts(context)) {
        const auto images = region->images({.filters = {{"name", {one.name}}}});
        const std::string id = images.empty() ? std::string() : images.front().id;
        json.push_back({{"name", one.name},
                        {"version", one.version},
                        {"architecture", one.architecture},
                        {"description", one.description},
                        {"recipe", one.recipe.native()},
                        {"image_id", id.empty() ? Json() : Json(id)}});
        rows.push_back({one.name, one.version, one.architecture, id.empty() ? "built on first use" : id,
                        printable(one.description, false)});
    }
    print_result(context, json, table(rows));
}

} // namespace

void add_image_list(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("list", "The AMIs you hold or may launch, newest first");
    auto options = std::make_shared<ListOptions>();
    command
        ->add_option(
            "--from", options->from,
            "quick-start: recipes that come with Kiln; my: what you hold; custom: what you built from recipes; "
            "community: others' public ones; marketplace: those of verified publishers")
        ->check(CLI::IsMember({"quick-start", "my", "custom", "community", "marketplace"}))
        ->type_name("CATALOGUE");
    command
        ->add_option("--filter", options->filters,
                     fmt::format("NAME=VALUE[,VALUE...] with * and ?, as EC2's; NAME is {}", registry::filter_names()))
        ->allow_extra_args(false)
        ->type_name("FILTER");
    command->add_option("--state", options->state, "available, deprecated, disabled, deregistered")->type_name("STATE");
    command->add_option("--owner", options->owner, "Of this account only; `self`: your own")->type_name("ACCOUNT");
    command->add_flag("--all", options->all, "Also what is hidden: others' private ones");
    on_run_in_region(*command, context, [&context, options] {
        if (options->from == "quick-start") {
            list_quick_starts(context, *options);
        } else {
            list(context, *options);
        }
    });
}

} // namespace kiln::cli
