// SPDX-License-Identifier: Apache-2.0
// Where security groups are kept, and how one comes and goes.
#include "launcher/vpc/group_file.h"

#include "core/error.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::string_view document = "a security group's file";
constexpr int group_schema = 1;
constexpr std::size_t longest_text = 255; // EC2's, of a name and of a description

fs::path group_folder(const Paths& paths)
{
    return paths.home / "security-groups";
}

fs::path group_file(const Paths& paths, const std::string& id)
{
    return group_folder(paths) / (id + ".json");
}

Json to_json(const GroupRule& rule)
{
    return {{"security_group_rule_id", rule.id},
            {"is_egress", rule.egress},
            {"ip_protocol", rule.protocol},
            {"from_port", rule.ports ? Json(rule.ports->first) : Json()},
            {"to_port", rule.ports ? Json(rule.ports->second) : Json()},
            {"cidr_ipv4", rule.cidr ? Json(to_string(*rule.cidr)) : Json()},
            {"referenced_group_id", rule.group_id.empty() ? Json() : Json(rule.group_id)}};
}

[[noreturn]] void malformed(std::string_view key)
{
    throw Error(ErrorKind::io, fmt::format("{}: \"{}\" is malformed", document, key));
}

std::uint16_t port_in(const Json& json, std::string_view key)
{
    const std::int64_t port = integer_member(json, key, document);
    if (port < 0 || port > 65535) {
        malformed(key);
    }
    return static_cast<std::uint16_t>(port);
}

// What is in it goes into nftables' language.
GroupRule rule_from_json(const Json& json)
{
    GroupRule rule;
    rule.id = string_member(json, "security_group_rule_id", document);
    rule.egress = bool_member(json, "is_egress", document);
    rule.protocol = string_member(json, "ip_protocol", document);
    if (!is_protocol(rule.protocol)) {
        malformed("ip_protocol");
    }
    if (!member(json, "from_port", document).is_null()) {
        rule.ports = {port_in(json, "from_port"), port_in(json, "to_port")};
        if (rule.ports->first > rule.ports->second || (rule.protocol != "tcp" && rule.protocol != "udp")) {
            malformed("from_port");
        }
    }
    if (!member(json, "cidr_ipv4", document).is_null()) {
        rule.cidr = parse_cidr(string_member(json, "cidr_ipv4", document));
        if (!rule.cidr) {
            malformed("cidr_ipv4");
        }
        return rule;
    }
    rule.group_id = string_member(json, "referenced_group_id", document);
    if (!is_resource_id("sg-", rule.group_id)) {
        malformed("referenced_group_id");
    }
    return rule;
}

SecurityGroup group_from_json(const Json& json)
{
    if (integer_member(json, "schema", document) > group_schema) {
        throw Error(ErrorKind::io, "the security group was made by a newer Kiln", "use that version of Kiln");
    }
    SecurityGroup group;
    group.id = string_member(json, "group_id", document);
    group.name = string_member(json, "group_name", document);
    group.description = string_member(json, "description", document);
    group.created = string_member(json, "created", document);
    for (const Json& rule : member(json, "rules", document)) {
        group.rules.push_back(rule_from_json(rule));
    }
    if (!is_resource_id("sg-", group.id)) {
        malformed("group_id");
    }
    return group;
}

GroupRule everything(bool egress)
{
    GroupRule rule;
    rule.id = random_resource_id("sgr-");
    rule.egress = egress;
    return rule;
}

SecurityGroup create_locked(const Paths& paths, const std::string& name, const std::string& description)
{
    SecurityGroup group{random_resource_id("sg-"), name, description, iso_now(), {everything(true)}};
    group.rules.back().cidr = Cidr{};
    if (name == default_group) {
        group.rules.push_back(everything(false));
        group.rules.back().group_id = group.id;
    }
    make_directories(group_folder(paths), 0700);
    save_group(paths, group);
    return group;
}

// EC2's characters, without the space, which would need quotes in a shell; "sg-" begins an id there too.
bool is_group_name(std::string_view text)
{
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("._-:/()#,@[]+=&;{}!$*").find(c) != std::string_view::npos;
    };
    return !text.empty() && text.size() <= longest_text && text.front() != '-' && !text.starts_with("sg-") &&
           std::ranges::all_of(text, allowed);
}

std::optional<SecurityGroup> find_group(const Paths& paths, std::string_view reference)
{
    for (SecurityGroup& group : list_groups(paths)) {
        if (group.id == reference || group.name == reference) {
            return std::move(group);
        }
    }
    return std::nullopt;
}

} // namespace

bool is_protocol(std::string_view text) noexcept
{
    constexpr std::array<std::string_view, 4> protocols{"tcp", "udp", "icmp", "-1"};
    return std::ranges::find(protocols, text) != protocols.end();
}

GroupLock::GroupLock(const Paths& paths)
    : lock_((make_directories(paths.home, 0700), paths.home / "instances.lock"), FileLock::Wait::block)
{
}

void save_group(const Paths& paths, const SecurityGroup& group)
{
    write_file_durably(group_file(paths, group.id), to_json(group).dump(2) + "\n", 0600);
}

Json to_json(const SecurityGroup& group)
{
    Json rules = Json::array();
    for (const GroupRule& rule : group.rules) {
        rules.push_back(to_json(rule));
    }
    return {{"schema", group_schema},           {"group_id", group.id},     {"group_name", group.name},
            {"description", group.description}, {"created", group.created}, {"rules", rules}};
}

SecurityGroup create_group(const Paths& paths, const std::string& name, const std::string& description)
{
    if (!is_group_name(name)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a security group's name", printable(name, false)),
                    "use up to 255 letters, digits and ._-:/()#,@[]+=&;{}!$*, not starting with sg-");
    }
    if (description.size() > longest_text || printable(description, false) != description) {
        throw Error(ErrorKind::usage, "a description has up to 255 printable characters");
    }
    const GroupLock lock(paths);
    if (find_group(paths, name)) {
        throw Error(ErrorKind::conflict,
                    fmt::format("InvalidGroup.Duplicate: there is a security group {} already", name));
    }
    return create_locked(paths, name, description);
}

std::vector<SecurityGroup> list_groups(const Paths& paths)
{
    std::vector<SecurityGroup> groups;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(group_folder(paths), ignored)) {
        const std::string id = entry.path().stem();
        if (entry.path().extension() != ".json" || !is_resource_id("sg-", id)) {
            continue;
        }
        try {
            groups.push_back(load_group(paths, id));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) { // deleted while we looked
                throw;
            }
        }
    }
    std::ranges::sort(groups, {}, [](const SecurityGroup& group) { return std::tie(group.created, group.id); });
    return groups;
}

SecurityGroup load_group(const Paths& paths, const std::string& id)
{
    const fs::path file = group_file(paths, id);
    SecurityGroup group = group_from_json(parse_json(read_file(file, mebibytes(1)), file.native()));
    if (group.id != id) {
        throw Error(ErrorKind::io, fmt::format("{} is about another security group", file.native()));
    }
    return group;
}

SecurityGroup resolve_group(const Paths& paths, std::string_view reference)
{
    if (auto found = find_group(paths, reference)) {
        return *std::move(found);
    }
    if (reference == default_group) {
        const GroupLock lock(paths);
        auto found = find_group(paths, reference); // by another command meanwhile
        return found ? *std::move(found) : create_locked(paths, std::string(default_group), "default security group");
    }
    throw Error(ErrorKind::not_found, fmt::format("there is no security group {}", printable(reference, false)),
                "`kiln security-group list` shows them, `kiln security-group create` makes one");
}

void delete_group(const Paths& paths, const std::string& id)
{
    const GroupLock lock(paths);
    const auto refuse = [&](const std::string& who) {
        throw Error(ErrorKind::conflict, fmt::format("DependencyViolation: {} uses the security group {}", who, id));
    };
    for (const Instance& instance : list_instances(paths)) {
        if (std::ranges::find(instance.security_groups, id) != instance.security_groups.end()) {
            refuse("the instance " + instance.id);
        }
    }
    for (const SecurityGroup& group : list_groups(paths)) {
        if (group.id != id && std::ranges::find(group.rules, id, &GroupRule::group_id) != group.rules.end()) {
            refuse("a rule of " + group.name);
        }
    }
    fs::remove(group_file(paths, id));
    sync_directory(group_folder(paths));
}

} // namespace kiln::launcher
