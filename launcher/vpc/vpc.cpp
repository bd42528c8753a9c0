// SPDX-License-Identifier: Apache-2.0
#include "launcher/vpc/vpc.h"

#include "core/error.h"
#include "core/files.h"
#include "core/names.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::string_view document = "a network's file";
constexpr int vpc_schema = 1;

// EC2's limits of a VPC; and only private addresses (RFC 1918), as others are somebody's.
Cidr require_block(const std::string& text)
{
    const auto block = parse_cidr(text);
    const auto inside = [&](const char* range) {
        const Cidr whole = *parse_cidr(range);
        return block->prefix >= whole.prefix && whole.contains(block->address);
    };
    if (!block || block->prefix < 16 || block->prefix > 28 ||
        !(inside("10.0.0.0/8") || inside("172.16.0.0/12") || inside("192.168.0.0/16"))) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is no block of a VPC's addresses", printable(text, false)),
                    "it is private and of the size /16 to /28, for example 10.1.0.0/24");
    }
    return *block;
}

Vpc from_json(const Json& json)
{
    if (integer_member(json, "schema", document) > vpc_schema) {
        throw Error(ErrorKind::io, "the network was made by a newer Kiln", "use that version of Kiln");
    }
    Vpc vpc;
    vpc.id = string_member(json, "vpc_id", document);
    vpc.subnet_id = string_member(json, "subnet_id", document);
    vpc.name = string_member(json, "name", document);
    vpc.created = string_member(json, "created", document);
    try {
        vpc.cidr = require_block(string_member(json, "cidr_block", document));
    } catch (const Error& error) {
        throw Error(ErrorKind::io, fmt::format("{}: {}", document, error.message()));
    }
    if (!is_resource_id("vpc-", vpc.id) || !is_resource_id("subnet-", vpc.subnet_id) || !is_region_name(vpc.name)) {
        throw Error(ErrorKind::io, fmt::format("{} has a malformed id or name", document));
    }
    return vpc;
}

fs::path folder_of(const Paths& paths)
{
    return paths.home / "networks";
}

Vpc create_locked(const Paths& paths, const std::string& name, const Cidr& cidr)
{
    Vpc vpc{random_resource_id("vpc-"), random_resource_id("subnet-"), name, cidr, iso_now()};
    make_directories(folder_of(paths), 0700);
    write_file_durably(VpcPaths(paths, vpc.id).record, to_json(vpc).dump(2) + "\n", 0600);
    return vpc;
}

FileLock lock_instances(const Paths& paths)
{
    make_directories(paths.home, 0700);
    return {paths.home / "instances.lock", FileLock::Wait::block};
}

} // namespace

VpcPaths::VpcPaths(const Paths& paths, const std::string& id)
    : record(folder_of(paths) / (id + ".json")), lock(folder_of(paths) / (id + ".lock")),
      log(folder_of(paths) / (id + ".log")), run(paths.run / id), control_socket(run / "vpc.sock"),
      hosts(run / "hosts"), dhcp_hosts(run / "dhcp-hosts")
{
}

Json to_json(const Vpc& vpc)
{
    return {{"schema", vpc_schema},
            {"vpc_id", vpc.id},
            {"subnet_id", vpc.subnet_id},
            {"name", vpc.name},
            {"cidr_block", to_string(vpc.cidr)},
            {"created", vpc.created}};
}

Vpc create_vpc(const Paths& paths, const std::string& name, const std::string& cidr)
{
    if (!is_region_name(name) || name.starts_with("vpc-") || name.starts_with("subnet-")) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a network's name", printable(name, false)),
                    "use up to 63 lower-case letters, digits and inner hyphens");
    }
    const Cidr block = require_block(cidr);
    const FileLock lock = lock_instances(paths);
    const std::vector<Vpc> existing = list_vpcs(paths);
    if (std::ranges::find(existing, name, &Vpc::name) != existing.end()) {
        throw Error(ErrorKind::conflict, fmt::format("there is a network {} already", name), "choose another name");
    }
    return create_locked(paths, name, block);
}

std::vector<Vpc> list_vpcs(const Paths& paths)
{
    std::vector<Vpc> vpcs;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(paths), ignored)) {
        const std::string id = entry.path().stem();
        if (entry.path().extension() != ".json" || !is_resource_id("vpc-", id)) {
            continue;
        }
        try {
            vpcs.push_back(load_vpc(paths, id));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) { // deleted while we looked
                throw;
            }
        }
    }
    std::ranges::sort(vpcs, {}, [](const Vpc& vpc) { return std::tie(vpc.created, vpc.id); });
    return vpcs;
}

Vpc load_vpc(const Paths& paths, const std::string& id)
{
    const fs::path file = VpcPaths(paths, id).record;
    Vpc vpc = from_json(parse_json(read_file(file, mebibytes(1)), file.native()));
    if (vpc.id != id) {
        throw Error(ErrorKind::io, fmt::format("{} is about another network", file.native()));
    }
    return vpc;
}

Vpc resolve_vpc(const Paths& paths, std::string_view reference)
{
    const auto find = [&]() -> std::optional<Vpc> {
        for (Vpc& vpc : list_vpcs(paths)) {
            if (vpc.id == reference || vpc.subnet_id == reference || vpc.name == reference) {
                return std::move(vpc);
            }
        }
        return std::nullopt;
    };
    if (auto found = find()) {
        return *std::move(found);
    }
    if (reference == default_vpc) {
        const FileLock lock = lock_instances(paths);
        auto found = find(); // by another command meanwhile
        return found ? *std::move(found) : create_locked(paths, std::string(default_vpc), require_block(default_cidr));
    }
    throw Error(ErrorKind::not_found, fmt::format("there is no network {}", printable(reference, false)),
                "`kiln network list` shows them, `kiln network create` makes one");
}

void delete_vpc(const Paths& paths, const std::string& id)
{
    const FileLock lock = lock_instances(paths);
    for (const Instance& instance : list_instances(paths)) {
        if (instance.vpc_id == id) {
            throw Error(ErrorKind::conflict,
                        fmt::format("DependencyViolation: the instance {} is in the network {}", instance.id, id),
                        fmt::format("`kiln instance terminate {}` first", instance.id));
        }
    }
    const VpcPaths files(paths, id);
    fs::remove(files.record);
    sync_directory(files.record.parent_path());
    std::error_code ignored;
    fs::remove(files.log, ignored);
    fs::remove(files.lock, ignored);
}

std::uint32_t free_address(const Vpc& vpc, const std::vector<std::uint32_t>& used)
{
    for (std::uint32_t address = vpc.first(); address < vpc.cidr.last(); ++address) { // the last is for broadcasts
        if (std::ranges::find(used, address) == used.end()) {
            return address;
        }
    }
    throw Error(ErrorKind::conflict,
                fmt::format("InsufficientFreeAddressesInSubnet: every address of the network {} ({}) is in use",
                            vpc.name, to_string(vpc.cidr)),
                "terminate instances, or launch in another network");
}

} // namespace kiln::launcher
