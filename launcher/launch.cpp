// SPDX-License-Identifier: Apache-2.0
// Makes instances' folders and starts them, or leaves nothing.
#include "launcher/launch.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/process.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/control.h"
#include "launcher/instance_store.h"
#include "launcher/life/life_lock.h"
#include "launcher/life/removal.h"
#include "launcher/life/start.h"
#include "launcher/metadata/identity.h"
#include "launcher/qemu_command.h"
#include "launcher/quota.h"
#include "launcher/storage/launch_volumes.h"
#include "launcher/storage/volume_store.h"
#include "launcher/user_data.h"
#include "launcher/warm/clone_disks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <iterator>
#include <memory>
#include <optional>
#include <tuple>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

bool is_instance_name(std::string_view name)
{
    const auto inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    return !name.empty() && name.size() <= 63 && std::ranges::all_of(name, inner) && name.front() != '-' &&
           name.back() != '-' && !name.starts_with("i-");
}

void require_free_name(const Paths& paths, const std::string& name)
{
    if (!is_instance_name(name)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not an instance name", printable(name, false)),
                    "use up to 63 lower-case letters, digits and inner hyphens, not starting with i-");
    }
    for (const Instance& instance : list_instances(paths)) {
        if (instance.name == name) {
            throw Error(ErrorKind::conflict, fmt::format("the name {} is taken by the instance {}", name, instance.id),
                        fmt::format("choose another name, or `kiln instance terminate {}`", name));
        }
    }
}

Instance describe(const registry::VerifiedImage& image, const LaunchRequest& request)
{
    Instance instance;
    instance.id = random_resource_id("i-");
    instance.name = request.name;
    instance.region = image.region();
    instance.image_id = image.image().id;
    instance.image_name = image.image().name;
    instance.image_version = image.image().version.to_string();
    instance.image_manifest = image.image().manifest.to_string();
    instance.unsigned_image = image.unsigned_reason();
    instance.type = request.type.name;
    instance.vcpus = request.type.vcpus;
    instance.memory = request.type.memory;
    instance.price = request.type.price;
    instance.accelerator = request.accelerator;
    instance.boot_mode = image.manifest().boot_mode;
    instance.key_name = request.key_pair ? request.key_pair->name : "";
    instance.user_data = request.user_data.has_value();
    instance.account_id = request.account_id;
    instance.metadata = request.metadata;
    instance.shutdown_behavior = request.shutdown_behavior;
    instance.termination_protection = request.termination_protection;
    instance.tags = request.tags;
    instance.client_token = request.client_token;
    instance.network = request.network.mode;
    instance.vpc_id = request.network.vpc_id;
    instance.security_groups = request.network.groups;
    instance.launched = iso_now();
    if (request.template_folder) {
        instance.warm = WarmLaunch{.start = WarmLaunch::Start::making_template, .folder = *request.template_folder};
    }
    return instance;
}

// What is in the guest that is saved is in every clone.
void require_nobodys(const LaunchRequest& request)
{
    if (request.user_data || request.key_pair || !request.volumes.empty() || request.keep_volumes || request.warm ||
        request.network.mode != template_network) {
        throw Error(ErrorKind::internal, "an instance that is to become a template is launched as somebody's");
    }
}

// What the records of its termination take, were the disk full by then.
void set_aside(const fs::path& reserve)
{
    constexpr off_t size = 65536;
    const FileDescriptor fd(::open(reserve.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (const int number = fd ? ::posix_fallocate(fd.get(), 0, size) : errno; number != 0) {
        throw system_error(number, fmt::format("writing {}", reserve.native()));
    }
}

// Everything the instance needs on disk, in `staging`; the paths in the record are those after the move.
void fill_folder(const fs::path& staging, Instance& instance, const InstancePaths& paths, const LaunchRequest& request,
                 TemplateChoice* choice, const std::stop_token& stop)
{
    make_directories(staging / "disks", 0700);
    make_directories(staging / "ssh", 0700);
    for (std::size_t i = 0; i < instance.disks.size(); ++i) {
        instance.disks[i].overlay = paths.disks / template_disk_file(i);
    }
    make_disks(instance, staging / "disks", choice, stop);
    if (choice != nullptr) {
        instance.warm = choice->launch;
    }
    if (choice != nullptr && choice->verified) {
        write_file_durably(staging / paths.warm_template.filename(), to_json(*choice->verified).dump(2) + "\n", 0600);
    }
    if (instance.boot_mode == "uefi") {
        write_file_durably(staging / paths.firmware_variables.filename(), read_file(firmware_variables), 0600);
    }
    // Sealing a snapshot looks for this very comment.
    run_or_throw({.argv = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kiln-launch-key " + instance.id, "-f",
                           (staging / "ssh" / "id_ed25519").native()}},
                 "making the launch key", stop);
    instance.ssh_key = paths.ssh / "id_ed25519";
    if (request.key_pair) { // sealing a snapshot takes both lines for launch keys, by their comment
        write_file_durably(staging / "ssh" / paths.authorized_keys.filename(),
                           fmt::format("{} {} kiln-launch-key {}\n{}", request.key_pair->public_key,
                                       request.key_pair->name, instance.id,
                                       read_file(staging / "ssh" / "id_ed25519.pub", mebibytes(1))),
                           0600);
    }
    if (request.user_data) {
        write_file_durably(staging / paths.user_data.filename(), *request.user_data, 0600);
    }
    write_identity(staging, instance, request.account_key);
    set_aside(staging / paths.reserve.filename());
    write_file_durably(staging / "instance.json", to_json(instance).dump(2) + "\n", 0600);
}

// One that is about to be launched: nobody else changes its life until that is done.
struct Launching {
    Instance instance;
    FileLock life;
    std::unique_ptr<LaunchVolumes> volumes;
};

void give_addresses(const Paths& paths, const fs::path& staging, const NetworkChoice& network,
                    std::vector<Launching>& launching)
{
    const std::vector<std::string> addresses = take_addresses(paths, network, launching.size());
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        Instance& instance = launching[i].instance;
        instance.private_ip_address = addresses[i];
        write_file_durably(staging / instance.id / "instance.json", to_json(instance).dump(2) + "\n", 0600);
    }
}

// Everything of `count` new instances, in `staging`, and then, all checks made, in their places.
std::vector<Launching> prepare(const Paths& paths, const registry::VerifiedImage& image, const LaunchRequest& request,
                               std::size_t count, const std::stop_token& stop)
{
    WorkFolder::sweep_abandoned(paths.work);
    make_directories(paths.work, 0700);
    const WorkFolder staging(paths.work, "launch-");
    std::vector<bundle::BlockDeviceMapping> mappings = image.manifest().block_devices;
    for (bundle::BlockDeviceMapping& mapping : mappings) {
        mapping.delete_on_termination = mapping.delete_on_termination || !request.keep_volumes;
    }
    std::vector<Launching> launching;
    std::optional<TemplateChoice> warm;
    for (std::size_t i = 0; i < count; ++i) {
        throw_if_interrupted(stop);
        Instance instance = describe(image, request);
        PlannedStorage storage =
            plan_storage(paths, mappings, request.volumes,
                         [&](const bundle::BlockDeviceMapping& mapping) { return image.layer_paths(mapping); });
        instance.disks = std::move(storage.disks);
        if (i == 0 && request.warm) { // the others are like it
            warm = choose_template(image.image(), instance, !storage.volumes.empty(), *request.warm);
        }
        const fs::path folder = staging.path() / instance.id;
        fill_folder(folder, instance, InstancePaths(paths, instance.id), request, warm ? &*warm : nullptr, stop);
        FileLock life(folder / "life.lock", FileLock::Wait::fail);
        auto volumes =
            std::make_unique<LaunchVolumes>(paths, staging.path(), instance, std::move(storage.volumes), stop);
        launching.push_back({std::move(instance), std::move(life), std::move(volumes)});
    }
    const FileLock lock(paths.home / "instances.lock", FileLock::Wait::block);
    if (request.name) {
        require_free_name(paths, *request.name);
    }
    require_quota(paths, request.type.vcpus, request.type.memory, count);
    give_addresses(paths, staging.path(), request.network, launching);
    for (const Launching& one : launching) {
        const InstancePaths files(paths, one.instance.id);
        make_run_folder(paths, files);
        one.volumes->place();
        fs::rename(staging.path() / one.instance.id, files.folder);
    }
    sync_directory(paths.instances);
    return launching;
}

void begin(const Paths& paths, const Instance& instance)
{
    Json detail = bill_of(instance);
    detail["unsigned_image"] = instance.unsigned_image ? Json(*instance.unsigned_image) : Json();
    append_event(InstancePaths(paths, instance.id), "pending", detail);
    start_supervisor(paths, instance.id);
}

// All of them run then, or none is left.
void bring_up(const Paths& paths, const std::vector<Launching>& launching, const std::stop_token& stop)
{
    std::size_t number = 0;
    try {
        for (const Launching& one : launching) {
            begin(paths, one.instance);
        }
        for (const Launching& one : launching) {
            ++number;
            await_start(paths, one.instance.id, stop);
        }
    } catch (...) {
        for (const Launching& one : launching) {
            discard(paths, one.instance.id);
        }
        if (launching.size() == 1) {
            throw;
        }
        try {
            throw;
        } catch (Error& error) {
            error.while_doing(
                fmt::format("instance {} of {} did not start, and none is left", number, launching.size()));
            throw;
        }
    }
}

} // namespace

std::vector<Instance> find_launched(const Paths& paths, const ClientToken& token)
{
    const auto plain = [](char c) { return c > ' ' && c < 0x7f; };
    if (token.token.empty() || token.token.size() > 64 || !std::ranges::all_of(token.token, plain)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is no client token", printable(token.token, false)),
                    "it has 1 to 64 ASCII characters without spaces");
    }
    std::vector<Instance> found = list_terminated(paths);
    std::vector<Instance> there = list_instances(paths);
    std::ranges::move(there, std::back_inserter(found));
    std::erase_if(found, [&](const Instance& instance) {
        return !instance.client_token || instance.client_token->token != token.token;
    });
    for (const Instance& instance : found) {
        if (instance.client_token->parameters != token.parameters) {
            throw Error(ErrorKind::conflict,
                        fmt::format("IdempotentParameterMismatch: {} was launched with the client token {} and other "
                                    "parameters",
                                    instance.id, token.token),
                        "use the parameters of before, or another token");
        }
    }
    return found;
}

std::vector<Instance> launch(const Paths& paths, const registry::VerifiedImage& image, const LaunchRequest& request,
                             const std::stop_token& stop)
{
    if (request.count < 1 || request.count > most_instances) {
        throw Error(ErrorKind::usage, fmt::format("{} is no number of instances", request.count),
                    fmt::format("1 to {} can be launched at once", most_instances));
    }
    if (request.count > 1 && request.name) {
        throw Error(ErrorKind::usage, "a name is for one instance alone", "give several a tag: --tag KEY=VALUE");
    }
    require_programs(image.manifest().boot_mode);
    require_program("ssh-keygen", "openssh-client");
    require_network(request.network);
    require_volume_requests(image.manifest().block_devices, request.volumes);
    if (request.count > 1 &&
        std::ranges::any_of(request.volumes, [](const auto& one) { return one.second.volume.has_value(); })) {
        throw Error(ErrorKind::usage, "a volume that exists is for one instance alone");
    }
    if (request.user_data) {
        require_user_data(*request.user_data);
    }
    if (request.template_folder) {
        require_nobodys(request);
    }
    make_directories(paths.home, 0700);
    make_directories(paths.instances, 0700);

    std::optional<FileLock> repeated; // another run with a token waits, as it may be the same one
    std::vector<Instance> instances;
    if (request.client_token) {
        repeated = lock_within(paths.home / "client-tokens.lock", std::chrono::minutes(10),
                               "another launch with a client token is under way", stop);
        instances = find_launched(paths, *request.client_token);
    }
    if (instances.size() >= request.count) {
        return instances;
    }
    const std::size_t missing = request.count - instances.size();
    require_memory(request.type.name, request.type.memory, static_cast<unsigned>(missing));
    require_free_space(paths.instances, mebibytes(256 * missing), "an instance");
    sweep_volumes(paths);
    const std::vector<Launching> launching = prepare(paths, image, request, missing, stop);
    bring_up(paths, launching, stop);
    for (const Launching& one : launching) {
        one.volumes->confirm();
        instances.push_back(load_record(InstancePaths(paths, one.instance.id)));
    }
    // As they are listed, and as a repeated request returns them.
    std::ranges::sort(instances, {}, [](const Instance& one) { return std::tie(one.launched, one.id); });
    return instances;
}

} // namespace kiln::launcher
