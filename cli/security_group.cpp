// SPDX-License-Identifier: Apache-2.0
// kiln security-group: what may reach instances, and what these may reach.
#include "cli/context.h"
#include "core/error.h"
#include "core/text.h"
#include "launcher/vpc/membership.h"

#include <fmt/format.h>

#include <charconv>

namespace kiln::cli
{
namespace
{

using launcher::GroupRule;
using launcher::SecurityGroup;

struct RuleOptions {
    std::string group;
    std::vector<std::string> rule_ids; // of revoke
    bool egress = false;
    std::string protocol;
    std::string port;
    std::string cidr;
    std::string peer;
};

std::string to_text(const Context& context, const SecurityGroup& group)
{
    std::string text = fmt::format("{}  {}  {}\n", group.id, group.name, group.description);
    const std::vector<SecurityGroup> groups = launcher::list_groups(context.paths);
    for (const GroupRule& rule : group.rules) {
        text += fmt::format("  {:<8} {}  {}\n", rule.egress ? "egress" : "ingress", rule.id, describe(rule, groups));
    }
    return text;
}

void print(const Context& context, const SecurityGroup& group)
{
    print_result(context, to_json(group), to_text(context, group));
}

void list(const Context& context)
{
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"GROUP ID", "NAME", "RULES", "DESCRIPTION"}};
    for (const SecurityGroup& group : launcher::list_groups(context.paths)) {
        json.push_back(to_json(group));
        rows.push_back({group.id, group.name, std::to_string(group.rules.size()), group.description});
    }
    print_result(context, json,
                 rows.size() > 1 ? table(rows)
                                 : "There is no security group; `kiln security-group create` makes one.\n");
}

// "80" or "8000-8100"
std::optional<std::pair<std::uint16_t, std::uint16_t>> parse_ports(const std::string& text)
{
    if (text.empty()) {
        return std::nullopt;
    }
    const auto number = [&](std::string_view digits) {
        std::uint16_t port = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
            throw Error(ErrorKind::usage, fmt::format("--port \"{}\" is no port", printable(text, false)),
                        "for example --port 80 or --port 8000-8100");
        }
        return port;
    };
    const auto dash = text.find('-');
    const std::uint16_t first = number(std::string_view(text).substr(0, dash));
    return std::pair{first, dash == text.npos ? first : number(std::string_view(text).substr(dash + 1))};
}

GroupRule rule_of(const Context& context, const RuleOptions& options)
{
    GroupRule rule;
    rule.egress = options.egress;
    rule.protocol = options.protocol == "all" ? "-1" : options.protocol;
    rule.ports = parse_ports(options.port);
    if (options.cidr.empty() == options.peer.empty()) {
        throw Error(ErrorKind::usage, "a rule is about a block of addresses or about a group",
                    "give --cidr or --source-group");
    }
    if (!options.peer.empty()) {
        rule.group_id = launcher::resolve_group(context.paths, options.peer).id;
        return rule;
    }
    rule.cidr = launcher::parse_cidr(options.cidr);
    if (!rule.cidr) {
        throw Error(ErrorKind::usage,
                    fmt::format("--cidr \"{}\" is no block of addresses", printable(options.cidr, false)),
                    "for example 10.0.0.0/8, or 0.0.0.0/0 for all");
    }
    return rule;
}

void change(const Context& context, const RuleOptions& options, bool add)
{
    SecurityGroup group = launcher::resolve_group(context.paths, options.group);
    if (add) {
        group = launcher::authorize(context.paths, group.id, rule_of(context, options));
    } else if (options.rule_ids.empty()) {
        group = launcher::revoke(context.paths, group.id, rule_of(context, options));
    }
    for (const std::string& rule : options.rule_ids) {
        group = launcher::revoke(context.paths, group.id, rule);
    }
    launcher::apply_group(context.paths, group.id, context.stop);
    print(context, group);
}

void add_rule_options(CLI::App& command, RuleOptions& options, bool protocol_is_needed)
{
    command.add_flag("--egress", options.egress, "About what members reach, not what reaches them");
    CLI::Option* protocol = command.add_option("--protocol", options.protocol, "tcp, udp, icmp, or all")
                                ->check(CLI::IsMember({"tcp", "udp", "icmp", "all", "-1"}))
                                ->type_name("PROTOCOL");
    if (protocol_is_needed) {
        protocol->required();
    }
    command.add_option("--port", options.port, "Of tcp and udp; all without it")->type_name("PORT[-PORT]");
    command.add_option("--cidr", options.cidr, "The other side's addresses")->type_name("CIDR");
    command
        .add_option("--source-group,--destination-group", options.peer,
                    "The other side: members of this group in the same network")
        ->type_name("GROUP");
}

constexpr const char* group_help = "Its id or name";

} // namespace

void add_security_group(CLI::App& app, Context& context)
{
    CLI::App* root = app.add_subcommand("security-group", "What may reach instances, and what these may reach");
    root->require_subcommand(1);
    auto options = std::make_shared<RuleOptions>();
    const auto add = [&](const char* name, const char* description) {
        CLI::App* command = root->add_subcommand(name, description);
        command->add_option("group", options->group, group_help)->required()->type_name("GROUP");
        return command;
    };

    CLI::App* create = root->add_subcommand("create", "Make a group that lets everything out and nothing in");
    auto description = std::make_shared<std::string>();
    create->add_option("name", options->group, "Its name")->required()->type_name("NAME");
    create->add_option("--description", *description, "What it is for")->type_name("TEXT");
    on_run(*create, context, [&context, options, description] {
        print(context, launcher::create_group(context.paths, options->group, *description));
    });

    on_run(*root->add_subcommand("list", "The groups, oldest first"), context, [&context] { list(context); });
    on_run(*add("show", "A group and its rules"), context,
           [&context, options] { print(context, launcher::resolve_group(context.paths, options->group)); });

    CLI::App* authorize = add("authorize", "Add a rule: what it allows passes at once");
    add_rule_options(*authorize, *options, true);
    on_run(*authorize, context, [&context, options] { change(context, *options, true); });

    CLI::App* revoke = add("revoke", "Remove rules by their ids, or the one with these properties");
    revoke->add_option("rules", options->rule_ids, "Ids of rules")->type_name("RULE");
    add_rule_options(*revoke, *options, false);
    on_run(*revoke, context, [&context, options] { change(context, *options, false); });

    on_run(*add("delete", "Delete a group that nothing uses"), context, [&context, options] {
        const SecurityGroup group = launcher::resolve_group(context.paths, options->group);
        launcher::delete_group(context.paths, group.id);
        print_result(context, {{"group_id", group.id}}, "");
    });
}

} // namespace kiln::cli
