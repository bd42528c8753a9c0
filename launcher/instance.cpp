// SPDX-License-Identifier: Apache-2.0
// An instance as JSON.
#include "launcher/instance.h"

#include "core/error.h"
#include "core/random.h"
#include "launcher/instance_type.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kiln::launcher
{
namespace
{

constexpr int record_schema = 1;
constexpr std::string_view what = "instance.json";
constexpr std::array<std::string_view, 6> state_names{"pending", "running",       "stopping",
                                                      "stopped", "shutting-down", "terminated"};

Json to_json(const InstanceDisk& disk)
{
    Json layers = Json::array();
    for (const std::filesystem::path& layer : disk.layers) {
        layers.push_back(layer.native());
    }
    Json lower = Json::array();
    for (const std::filesystem::path& overlay : disk.lower) {
        lower.push_back(overlay.native());
    }
    return {{"device", disk.device},
            {"size", disk.size.bytes()},
            {"delete_on_termination", disk.delete_on_termination},
            {"overlay", disk.overlay.native()},
            {"lower_overlays", lower},
            {"layers", layers},
            {"volume_id", disk.volume_id.empty() ? Json() : Json(disk.volume_id)}};
}

InstanceDisk disk_from_json(const Json& json)
{
    InstanceDisk disk;
    disk.device = string_member(json, "device", what);
    disk.size = ByteSize(static_cast<std::uint64_t>(integer_member(json, "size", what)));
    disk.delete_on_termination = bool_member(json, "delete_on_termination", what);
    disk.overlay = string_member(json, "overlay", what);
    for (const Json& layer : member(json, "layers", what)) {
        disk.layers.emplace_back(layer.get<std::string>());
    }
    // Instances of before the field have none.
    if (const auto lower = json.find("lower_overlays"); lower != json.end()) {
        for (const Json& overlay : *lower) {
            disk.lower.emplace_back(overlay.get<std::string>());
        }
    }
    return disk;
}

Json to_json(const MetadataOptions& options)
{
    return {{"http_tokens", options.v1 ? "optional" : "required"},
            {"http_put_response_hop_limit", options.hop_limit},
            {"instance_metadata_tags", options.tags ? "enabled" : "disabled"}};
}

MetadataOptions metadata_from_json(const Json& json)
{
    MetadataOptions options;
    options.v1 = string_member(json, "http_tokens", what) == "optional";
    const std::int64_t hops = integer_member(json, "http_put_response_hop_limit", what);
    if (hops < 1 || hops > 64) {
        throw Error(ErrorKind::io, fmt::format("{}: \"http_put_response_hop_limit\" is not 1 to 64", what));
    }
    options.hop_limit = static_cast<unsigned>(hops);
    options.tags = string_member(json, "instance_metadata_tags", what) == "enabled";
    return options;
}

Json text_or_null(const std::string& text)
{
    return text.empty() ? Json() : Json(text);
}

std::string text_or_empty(const Json& json, std::string_view key)
{
    const Json& value = member(json, key, what);
    return value.is_null() ? std::string() : value.get<std::string>();
}

// What instances have since there are VPCs and security groups; one of before has none of it.
void add_vpc(Instance& instance, const Json& json)
{
    if (!json.contains("security_groups")) {
        return;
    }
    instance.vpc_id = text_or_empty(json, "vpc_id");
    instance.private_ip_address = text_or_empty(json, "private_ip_address");
    instance.security_groups = member(json, "security_groups", what).get<std::vector<std::string>>();
    const auto is_group = [](const std::string& id) { return is_resource_id("sg-", id); };
    if ((!instance.vpc_id.empty() && !is_resource_id("vpc-", instance.vpc_id)) ||
        !std::ranges::all_of(instance.security_groups, is_group)) {
        throw Error(ErrorKind::io, fmt::format(R"({} has a malformed "vpc_id" or "security_groups")", what));
    }
}

// What instances have since there is a metadata service; one of before has none of it.
void add_identity(Instance& instance, const Json& json)
{
    if (!json.contains("network")) {
        instance.network = "qemu";
        return;
    }
    instance.network = string_member(json, "network", what);
    if (instance.network != "user" && instance.network != "qemu" && instance.network != "vpc" &&
        instance.network != "none") {
        throw Error(ErrorKind::io, fmt::format("{}: \"network\" is no kind of network", what));
    }
    add_vpc(instance, json);
    if (const Json& account = member(json, "account_id", what); !account.is_null()) {
        instance.account_id = account.get<std::string>();
    }
    instance.metadata = metadata_from_json(member(json, "metadata_options", what));
}

Json to_json(const std::vector<Forward>& forwards)
{
    Json json = Json::array();
    for (const Forward& forward : forwards) {
        json.push_back({{"host_port", forward.host_port}, {"guest_port", forward.guest_port}});
    }
    return json;
}

std::uint16_t port_member(const Json& json, std::string_view key)
{
    const std::int64_t port = integer_member(json, key, what);
    if (port < 1 || port > 65535) {
        throw Error(ErrorKind::io, fmt::format("{}: \"{}\" is no port", what, key));
    }
    return static_cast<std::uint16_t>(port);
}

// What instances have since they can be stopped and started; one of before has none of it.
void add_life(Instance& instance, const Json& json)
{
    if (!json.contains("instance_initiated_shutdown_behavior")) {
        return;
    }
    instance.state_reason_code = text_or_empty(json, "state_reason_code");
    instance.started = text_or_empty(json, "started");
    instance.price = parse_price(string_member(json, "price_per_hour", what)).value_or(0);
    instance.boot_id = text_or_empty(json, "host_boot_id");
    instance.shutdown_behavior = string_member(json, "instance_initiated_shutdown_behavior", what) == "terminate"
                                     ? ShutdownBehavior::terminate
                                     : ShutdownBehavior::stop;
    instance.termination_protection = bool_member(json, "disable_api_termination", what);
    instance.tags = member(json, "tags", what).get<Tags>();
    if (const Json& token = member(json, "client_token", what); !token.is_null()) {
        instance.client_token =
            ClientToken{string_member(token, "token", what), string_member(token, "parameters", what)};
    }
    for (const Json& forward : member(json, "forwards", what)) {
        instance.forwards.push_back({port_member(forward, "host_port"), port_member(forward, "guest_port")});
    }
}

constexpr std::array<std::string_view, 3> start_names{"cold", "clone", "making-template"};

Json to_json(const WarmLaunch& warm)
{
    return {{"start", name_of(warm.start)},        {"launched_warm", warm.launched_warm},
            {"cloud_init", warm.cloud_init},       {"template_id", text_or_null(warm.template_id)},
            {"folder", text_or_null(warm.folder)}, {"ready", text_or_null(warm.ready)},
            {"reason", text_or_null(warm.reason)}};
}

// What instances have since there are warm launches.
void add_warm_launch(Instance& instance, const Json& json)
{
    const auto found = json.find("warm");
    if (found == json.end() || found->is_null()) {
        return;
    }
    WarmLaunch warm;
    const auto* start = std::ranges::find(start_names, string_member(*found, "start", what));
    if (start == start_names.end()) {
        throw Error(ErrorKind::io, fmt::format("{}: \"start\" is no kind of start", what));
    }
    warm.start = static_cast<WarmLaunch::Start>(start - start_names.begin());
    warm.launched_warm = bool_member(*found, "launched_warm", what);
    warm.cloud_init = bool_member(*found, "cloud_init", what);
    warm.template_id = text_or_empty(*found, "template_id");
    warm.folder = text_or_empty(*found, "folder");
    warm.ready = text_or_empty(*found, "ready");
    warm.reason = text_or_empty(*found, "reason");
    instance.warm = std::move(warm);
}

} // namespace

std::string_view name_of(WarmLaunch::Start start) noexcept
{
    return start_names[static_cast<std::size_t>(start)];
}

std::optional<InstanceState> parse_state(std::string_view text)
{
    const auto* found = std::ranges::find(state_names, text);
    return found == state_names.end() ? std::nullopt
                                      : std::optional(static_cast<InstanceState>(found - state_names.begin()));
}

std::string_view name_of(ShutdownBehavior behavior) noexcept
{
    return behavior == ShutdownBehavior::terminate ? "terminate" : "stop";
}

std::string mac_address(std::string_view id)
{
    const std::string_view hex = id.substr(2, 10);
    return fmt::format("02:{}:{}:{}:{}:{}", hex.substr(0, 2), hex.substr(2, 2), hex.substr(4, 2), hex.substr(6, 2),
                       hex.substr(8, 2));
}

std::string_view name_of(InstanceState state) noexcept
{
    return state_names[static_cast<std::size_t>(state)];
}

Json to_json(const Instance& instance)
{
    Json disks = Json::array();
    for (const InstanceDisk& disk : instance.disks) {
        disks.push_back(to_json(disk));
    }
    Json volumes = Json::array();
    for (const InstanceDisk& disk : instance.volumes) {
        volumes.push_back(to_json(disk));
    }
    return {{"schema", record_schema},
            {"instance_id", instance.id},
            {"name", instance.name ? Json(*instance.name) : Json()},
            {"state", name_of(instance.state)},
            {"state_reason", text_or_null(instance.state_reason)},
            {"state_reason_code", text_or_null(instance.state_reason_code)},
            {"region", instance.region},
            {"image_id", instance.image_id},
            {"image_name", instance.image_name},
            {"image_version", instance.image_version},
            {"image_manifest", instance.image_manifest},
            {"unsigned_image", instance.unsigned_image ? Json(*instance.unsigned_image) : Json()},
            {"type", instance.type},
            {"vcpus", instance.vcpus},
            {"memory", instance.memory.bytes()},
            {"accelerator", name_of(instance.accelerator)},
            {"boot_mode", instance.boot_mode},
            {"disks", disks},
            {"volumes", volumes},
            {"ssh_port", instance.ssh_port},
            {"ssh_key", instance.ssh_key.native()},
            {"key_name", text_or_null(instance.key_name)},
            {"user_data", instance.user_data},
            {"account_id", instance.account_id.empty() ? Json() : Json(instance.account_id)},
            {"network", instance.network},
            {"vpc_id", text_or_null(instance.vpc_id)},
            {"private_ip_address", text_or_null(instance.private_ip_address)},
            {"security_groups", instance.security_groups},
            {"metadata_options", to_json(instance.metadata)},
            {"launched", instance.launched},
            {"price_per_hour", price_text(instance.price)},
            {"started", text_or_null(instance.started)},
            {"host_boot_id", text_or_null(instance.boot_id)},
            {"confined", instance.confined},
            {"instance_initiated_shutdown_behavior", name_of(instance.shutdown_behavior)},
            {"disable_api_termination", instance.termination_protection},
            {"tags", instance.tags},
            {"client_token", instance.client_token ? Json{{"token", instance.client_token->token},
                                                          {"parameters", instance.client_token->parameters}}
                                                   : Json()},
            {"forwards", to_json(instance.forwards)},
            {"warm", instance.warm ? to_json(*instance.warm) : Json()}};
}

Instance instance_from_json(const Json& json)
{
    if (integer_member(json, "schema", what) > record_schema) {
        throw Error(ErrorKind::io, "the instance was made by a newer Kiln", "use that version of Kiln");
    }
    try {
        Instance instance;
        instance.id = string_member(json, "instance_id", what);
        if (const Json& name = member(json, "name", what); !name.is_null()) {
            instance.name = name.get<std::string>();
        }
        const auto state = parse_state(string_member(json, "state", what));
        if (!state) {
            throw Error(ErrorKind::io, fmt::format("{}: \"state\" is no state", what));
        }
        instance.state = *state;
        if (const Json& reason = member(json, "state_reason", what); !reason.is_null()) {
            instance.state_reason = reason.get<std::string>();
        }
        instance.region = string_member(json, "region", what);
        instance.image_id = string_member(json, "image_id", what);
        instance.image_name = string_member(json, "image_name", what);
        instance.image_version = string_member(json, "image_version", what);
        instance.image_manifest = string_member(json, "image_manifest", what);
        // Instances of before the field have it not.
        if (const auto reason = json.find("unsigned_image"); reason != json.end() && !reason->is_null()) {
            instance.unsigned_image = reason->get<std::string>();
        }
        instance.type = string_member(json, "type", what);
        instance.vcpus = static_cast<unsigned>(integer_member(json, "vcpus", what));
        instance.memory = ByteSize(static_cast<std::uint64_t>(integer_member(json, "memory", what)));
        instance.accelerator = string_member(json, "accelerator", what) == "kvm" ? Accelerator::kvm : Accelerator::tcg;
        instance.boot_mode = string_member(json, "boot_mode", what);
        if (instance.boot_mode != "bios" && instance.boot_mode != "uefi") {
            throw Error(ErrorKind::io, fmt::format("{}: \"boot_mode\" is neither bios nor uefi", what));
        }
        for (const Json& disk : member(json, "disks", what)) {
            instance.disks.push_back(disk_from_json(disk));
        }
        instance.ssh_port = static_cast<std::uint16_t>(integer_member(json, "ssh_port", what));
        instance.ssh_key = string_member(json, "ssh_key", what);
        instance.user_data = bool_member(json, "user_data", what);
        instance.launched = string_member(json, "launched", what);
        if (json.contains("key_name")) {
            instance.key_name = text_or_empty(json, "key_name");
        }
        instance.confined = json.value("confined", Json());
        add_identity(instance, json);
        add_life(instance, json);
        add_warm_launch(instance, json);
        return instance;
    } catch (const Json::exception& error) {
        throw Error(ErrorKind::io, fmt::format("{} is malformed: {}", what, error.what()));
    }
}

} // namespace kiln::launcher
