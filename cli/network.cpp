// SPDX-License-Identifier: Apache-2.0
// kiln network: VPCs.
#include "cli/context.h"
#include "core/error.h"
#include "core/text.h"
#include "launcher/instance.h"
#include "launcher/vpc/vpc.h"
#include "launcher/vpc/vpc_holder.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

using launcher::Vpc;

std::vector<launcher::Instance> instances_of(const Context& context, const Vpc& vpc)
{
    std::vector<launcher::Instance> instances = launcher::list_instances(context.paths);
    std::erase_if(instances, [&](const launcher::Instance& instance) { return instance.vpc_id != vpc.id; });
    return instances;
}

void create(const Context& context, const std::string& name, const std::string& cidr)
{
    const Vpc vpc = launcher::create_vpc(context.paths, name, cidr);
    print_result(context, to_json(vpc), fmt::format("{}\n", vpc.id));
}

void list(const Context& context)
{
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"VPC ID", "NAME", "CIDR BLOCK", "SUBNET ID", "INSTANCES"}};
    for (const Vpc& vpc : launcher::list_vpcs(context.paths)) {
        json.push_back(to_json(vpc));
        rows.push_back(
            {vpc.id, vpc.name, to_string(vpc.cidr), vpc.subnet_id, std::to_string(instances_of(context, vpc).size())});
    }
    print_result(context, json,
                 rows.size() > 1 ? table(rows)
                                 : "There is no network yet; `kiln run AMI --network vpc` makes the default one.\n");
}

void show(const Context& context, const std::string& reference)
{
    const Vpc vpc = launcher::resolve_vpc(context.paths, reference);
    Json json = to_json(vpc);
    json["instances"] = Json::array();
    std::string text =
        fmt::format("{}  {}  {}\n  subnet       {}\n  router       {}\n  name server  {}\n"
                    "  this host    {}\n  created      {}\n",
                    vpc.id, vpc.name, to_string(vpc.cidr), vpc.subnet_id, launcher::ipv4_text(vpc.router()),
                    launcher::ipv4_text(vpc.name_server()), launcher::ipv4_text(vpc.host()), vpc.created);
    for (const launcher::Instance& instance : instances_of(context, vpc)) {
        json["instances"].push_back(
            {{"instance_id", instance.id}, {"private_ip_address", instance.private_ip_address}});
        text += fmt::format("  instance     {}  {}  {}\n", instance.private_ip_address, instance.id,
                            instance.name.value_or("-"));
    }
    print_result(context, json, text);
}

void remove(const Context& context, const std::string& reference)
{
    const Vpc vpc = launcher::resolve_vpc(context.paths, reference);
    launcher::delete_vpc(context.paths, vpc.id);
    print_result(context, {{"vpc_id", vpc.id}}, "");
}

} // namespace

void add_network(CLI::App& app, Context& context)
{
    CLI::App* network = app.add_subcommand("network", "Networks (VPCs) in which instances reach one another");
    network->require_subcommand(1);
    auto reference = std::make_shared<std::string>();

    CLI::App* create_command = network->add_subcommand("create", "Make a VPC with one subnet");
    auto cidr = std::make_shared<std::string>(launcher::default_cidr);
    create_command->add_option("name", *reference, "Its name")->required()->type_name("NAME");
    create_command->add_option("--cidr-block", *cidr, "Its private addresses, of the size /16 to /28")
        ->capture_default_str()
        ->type_name("CIDR");
    on_run(*create_command, context, [&context, reference, cidr] { create(context, *reference, *cidr); });

    on_run(*network->add_subcommand("list", "The networks, oldest first"), context, [&context] { list(context); });

    CLI::App* show_command = network->add_subcommand("show", "A network and the instances in it");
    show_command->add_option("network", *reference, "Its id, its subnet's id or its name")
        ->required()
        ->type_name("NETWORK");
    on_run(*show_command, context, [&context, reference] { show(context, *reference); });

    CLI::App* delete_command = network->add_subcommand("delete", "Delete a network that no instance is in");
    delete_command->add_option("network", *reference, "Its id, its subnet's id or its name")
        ->required()
        ->type_name("NETWORK");
    on_run(*delete_command, context, [&context, reference] { remove(context, *reference); });
}

} // namespace kiln::cli
