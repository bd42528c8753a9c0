// SPDX-License-Identifier: Apache-2.0
#include "launcher/metadata/metadata_tree.h"

#include "core/text.h"
#include "launcher/network/guest_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kiln::launcher
{
namespace
{

constexpr std::string_view public_keys = "meta-data/public-keys/";

// EC2 names the zones of a region by a letter behind its name; cloud-init takes that letter off again.
std::string zone_of(const Instance& instance)
{
    return instance.region + "a";
}

std::string host_name_of(const Instance& instance)
{
    return instance.name.value_or(instance.id);
}

void add_disks(MetadataTree& tree, const Instance& instance)
{
    const std::string folder = "meta-data/block-device-mapping/";
    int extra = 0;
    for (std::size_t i = 0; i < instance.disks.size(); ++i) {
        const std::string& device = instance.disks[i].device;
        if (i == 0) {
            tree[folder + "ami"] = device.substr(device.rfind('/') + 1);
            tree[folder + "root"] = device;
        } else {
            tree[fmt::format("{}ebs{}", folder, ++extra)] = device.substr(device.rfind('/') + 1);
        }
    }
    for (const InstanceDisk& volume : instance.volumes) {
        tree[fmt::format("{}ebs{}", folder, ++extra)] = volume.device.substr(volume.device.rfind('/') + 1);
    }
}

// Without groups it is in one of its own, so to say.
std::string group_names(const MetadataSource& source)
{
    return source.security_groups.empty() ? "default" : join(source.security_groups, "\n");
}

void add_vpc(MetadataTree& tree, const std::string& folder, const MetadataSource& source)
{
    tree[folder + "vpc-id"] = source.vpc->id;
    tree[folder + "subnet-id"] = source.vpc->subnet_id;
    tree[folder + "vpc-ipv4-cidr-block"] = to_string(source.vpc->cidr);
    tree[folder + "subnet-ipv4-cidr-block"] = to_string(source.vpc->cidr);
    if (!source.instance.security_groups.empty()) {
        tree[folder + "security-group-ids"] = join(source.instance.security_groups, "\n");
    }
}

std::string address_of(const Instance& instance)
{
    return instance.private_ip_address.empty() ? guest_address : instance.private_ip_address;
}

void add_network(MetadataTree& tree, const MetadataSource& source)
{
    const Instance& instance = source.instance;
    const std::string mac = mac_address(instance.id);
    tree["meta-data/mac"] = mac;
    tree["meta-data/local-ipv4"] = address_of(instance);
    tree["meta-data/hostname"] = host_name_of(instance);
    tree["meta-data/local-hostname"] = host_name_of(instance);
    const std::string folder = fmt::format("meta-data/network/interfaces/macs/{}/", mac);
    tree[folder + "device-number"] = "0";
    tree[folder + "interface-id"] = "eni-" + instance.id.substr(2);
    tree[folder + "local-hostname"] = host_name_of(instance);
    tree[folder + "local-ipv4s"] = address_of(instance);
    tree[folder + "mac"] = mac;
    tree[folder + "owner-id"] = instance.account_id;
    tree[folder + "security-groups"] = group_names(source);
    tree[folder + "subnet-ipv4-cidr-block"] = "10.0.2.0/24";
    if (source.vpc) {
        add_vpc(tree, folder, source);
    }
}

// A key's name is its line's third word, where its comment begins.
std::string_view key_name_of(std::string_view line)
{
    for (int word = 0; word < 2; ++word) {
        const auto space = line.find(' ');
        line = space == line.npos ? std::string_view() : line.substr(space + 1);
    }
    return line.substr(0, line.find(' '));
}

void add_keys(MetadataTree& tree, std::string_view keys)
{
    for (int number = 0; !keys.empty(); ++number) {
        tree[fmt::format("{}{}/openssh-key", public_keys, number)] = next_line(keys);
    }
}

// A child of the folder as a list shows it.
std::string listed(const MetadataTree& tree, std::string_view folder, std::string_view child, bool is_folder)
{
    if (folder == public_keys) {
        return fmt::format("{}={}", child, key_name_of(tree.at(fmt::format("{}{}/openssh-key", folder, child))));
    }
    return fmt::format("{}{}", child, is_folder ? "/" : "");
}

// `folder` ends in a slash, or is empty.
std::optional<std::string> list(const MetadataTree& tree, std::string_view folder)
{
    std::vector<std::string> lines;
    for (auto leaf = tree.lower_bound(folder); leaf != tree.end() && leaf->first.starts_with(folder); ++leaf) {
        const std::string_view rest = std::string_view(leaf->first).substr(folder.size());
        const auto slash = rest.find('/');
        std::string line = listed(tree, folder, rest.substr(0, slash), slash != rest.npos);
        if (lines.empty() || lines.back() != line) {
            lines.push_back(std::move(line));
        }
    }
    return lines.empty() ? std::nullopt : std::optional(join(lines, "\n"));
}

// EC2 lets no key with a space or a slash, and not "." or "..", into the tree; here they are left out.
void add_tags(MetadataTree& tree, const Instance& instance)
{
    if (instance.name) {
        tree["meta-data/tags/instance/Name"] = *instance.name;
    }
    for (const auto& [key, value] : instance.tags) {
        if (key.find_first_of(" /") == std::string::npos && key != "." && key != "..") {
            tree["meta-data/tags/instance/" + key] = value;
        }
    }
}

} // namespace

MetadataTree metadata_tree(const MetadataSource& source)
{
    const Instance& instance = source.instance;
    MetadataTree tree;
    tree["meta-data/ami-id"] = instance.image_id;
    tree["meta-data/ami-launch-index"] = "0";
    tree["meta-data/ami-manifest-path"] = "(unknown)";
    tree["meta-data/instance-action"] = "none";
    tree["meta-data/instance-id"] = instance.id;
    tree["meta-data/instance-life-cycle"] = "on-demand";
    tree["meta-data/instance-type"] = instance.type;
    tree["meta-data/placement/availability-zone"] = zone_of(instance);
    tree["meta-data/placement/region"] = instance.region;
    tree["meta-data/profile"] = "default-hvm";
    tree["meta-data/reservation-id"] = "r-" + instance.id.substr(2);
    tree["meta-data/security-groups"] = group_names(source);
    tree["meta-data/services/domain"] = "kiln.internal";
    tree["meta-data/services/partition"] = "kiln";
    add_disks(tree, instance);
    add_network(tree, source);
    add_keys(tree, source.public_keys);
    if (instance.metadata.tags) {
        add_tags(tree, instance);
    }
    tree["dynamic/instance-identity/document"] = identity_document(instance);
    if (source.identity_signature) {
        tree["dynamic/instance-identity/signature"] = *source.identity_signature;
    }
    if (source.user_data) {
        tree["user-data"] = *source.user_data;
    }
    return tree;
}

std::optional<std::string> find_metadata(const MetadataTree& tree, std::string_view path)
{
    if (path.empty() || path.front() != '/') {
        return std::nullopt;
    }
    path.remove_prefix(1);
    if (path.empty()) {
        return fmt::format("{}", fmt::join(metadata_versions, "\n"));
    }
    const std::string_view version = path.substr(0, path.find('/'));
    if (std::ranges::find(metadata_versions, version) == metadata_versions.end()) {
        return std::nullopt;
    }
    const std::string_view rest = path.substr(std::min(path.size(), version.size() + 1));
    if (const auto leaf = tree.find(rest); leaf != tree.end()) {
        return leaf->second;
    }
    return list(tree, rest.empty() || rest.ends_with('/') ? std::string(rest) : fmt::format("{}/", rest));
}

std::string identity_document(const Instance& instance)
{
    const Json account = instance.account_id.empty() ? Json() : Json(instance.account_id);
    return Json{{"accountId", account},
                {"architecture", "x86_64"},
                {"availabilityZone", zone_of(instance)},
                {"billingProducts", nullptr},
                {"devpayProductCodes", nullptr},
                {"imageId", instance.image_id},
                {"instanceId", instance.id},
                {"instanceType", instance.type},
                {"kernelId", nullptr},
                {"marketplaceProductCodes", nullptr},
                {"pendingTime", instance.launched},
                {"privateIp", address_of(instance)},
                {"ramdiskId", nullptr},
                {"region", instance.region},
                {"version", "2017-09-30"}}
        .dump(2);
}

} // namespace kiln::launcher
