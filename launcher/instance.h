// SPDX-License-Identifier: Apache-2.0
// An instance is a folder: instances/i-.../{instance.json,events.jsonl,console.log,supervisor.log,
// disks/,ssh/}. There is no daemon; sockets and the pid file are in the (short) run folder. Of a terminated one
// ended/i-.../{instance.json,events.jsonl} stay.
#pragma once

#include "core/accelerator.h"
#include "core/byte_size.h"
#include "core/json.h"
#include "core/paths.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

// EC2's words.
enum class InstanceState { pending, running, stopping, stopped, shutting_down, terminated };
[[nodiscard]] std::string_view name_of(InstanceState state) noexcept;
[[nodiscard]] std::optional<InstanceState> parse_state(std::string_view text);

// What a guest that powers itself off becomes (EC2: InstanceInitiatedShutdownBehavior).
enum class ShutdownBehavior { stop, terminate };
[[nodiscard]] std::string_view name_of(ShutdownBehavior behavior) noexcept;

// A request's name, under which a repeated `kiln run` finds what it launched before (EC2: ClientToken).
struct ClientToken {
    std::string token;
    std::string parameters; // digest of what was asked for
};

// A TCP port of the guest on one of 127.0.0.1, for as long as the instance runs, and again after its next start.
struct Forward {
    std::uint16_t host_port = 0;
    std::uint16_t guest_port = 0;
};

using Tags = std::map<std::string, std::string>;

// One disk of an instance: its own overlay over the AMI's layers, or a volume.
struct InstanceDisk {
    std::string device; // "/dev/vda"
    ByteSize size;      // at least the AMI's
    bool delete_on_termination = true;
    std::filesystem::path overlay;              // qcow2 without a backing-file string, written to
    std::vector<std::filesystem::path> layers;  // bottom first, read-only, in the registry
    std::string volume_id{};                    // of a volume (storage/volume.h), which has no layers; else empty
    std::vector<std::filesystem::path> lower{}; // overlays between the two, bottom first (snapshot/overlays.h)
};

// How the guest reaches its metadata service (EC2's MetadataOptions).
struct MetadataOptions {
    bool v1 = false;        // also without a token; EC2: HttpTokens "optional"
    unsigned hop_limit = 1; // 1..64: the time to live of its answers; 1 keeps them from containers in the guest
    bool tags = false;      // EC2: InstanceMetadataTags "enabled"
};

// How it was launched where its AMI has templates of warm launches (warm/warm_template.h), or is to become one.
struct WarmLaunch {
    enum class Start { cold, clone, making_template };
    Start start = Start::cold;      // the start that is under way, or was the last one
    bool launched_warm = false;     // at its launch it was a clone
    bool cloud_init = false;        // which then ran as for a new instance
    std::string template_id{};      // of the template; empty: none fits
    std::filesystem::path folder{}; // where one is made of it
    std::string ready{};            // the guest's word as the template was saved ("running")
    std::string reason{};           // why it was launched cold; empty: it was launched warm
};
[[nodiscard]] std::string_view name_of(WarmLaunch::Start start) noexcept;

struct Instance {
    std::string id; // "i-" and 17 hex digits
    std::optional<std::string> name;
    InstanceState state = InstanceState::pending;
    std::string state_reason;      // why it ended up in that state; empty while all is well
    std::string state_reason_code; // EC2's word for that: "Client.InstanceInitiatedShutdown"; empty: none
    std::string region;
    std::string image_id; // "ami-..."
    std::string image_name;
    std::string image_version;
    std::string image_manifest;                // digest of the OCI manifest
    std::optional<std::string> unsigned_image; // --allow-unsigned: why the AMI's signature did not count
    std::string type;                          // "t3.small"
    unsigned vcpus = 1;
    ByteSize memory;
    std::int64_t price = 0; // of the type at the last start: for an hour, in millionths of the currency
    Accelerator accelerator = Accelerator::tcg;
    std::string boot_mode = "bios";      // or "uefi"
    std::vector<InstanceDisk> disks;     // the AMI's block devices, the root disk first
    std::vector<InstanceDisk> volumes{}; // attached beside them; neither these nor disks that are volumes are stored
                                         // with the instance: volumes know where they are attached
    std::uint16_t ssh_port = 0;          // on 127.0.0.1
    bool user_data = false;              // in InstancePaths::user_data
    std::filesystem::path ssh_key;       // secret key of this launch; its public half is in the guest
    std::string key_name{};              // of the key pair whose public key is in the guest too; empty: none
    std::string account_id;              // of the caller who launched it; empty: launched by an older Kiln
    std::string network = "user";   // libslirp in a helper; "vpc"; "none"; "qemu": in QEMU itself, as an older Kiln did
    std::string vpc_id;             // of network "vpc"; empty: none
    std::string private_ip_address; // its own in the VPC, for its life; empty: none
    std::vector<std::string> security_groups; // ids; of network "user" none means that all may be forwarded
    MetadataOptions metadata;
    std::string launched; // ISO 8601
    std::string started;  // the same, of the last start; empty before the first
    std::string boot_id;  // of the host at that start
    Json confined;        // what QEMU was kept to at that start (qemu_start.h); null before the first
    ShutdownBehavior shutdown_behavior = ShutdownBehavior::stop;
    bool termination_protection = false; // EC2: DisableApiTermination
    Tags tags;
    std::optional<ClientToken> client_token;
    std::vector<Forward> forwards;
    std::optional<WarmLaunch> warm; // none: its AMI had no template
};

// Locally administered, and stable for the instance's life.
[[nodiscard]] std::string mac_address(std::string_view id);

[[nodiscard]] Json to_json(const Instance& instance);
[[nodiscard]] Instance instance_from_json(const Json& json); // throws Error{io}

// The folder of one instance and its sockets.
struct InstancePaths {
    InstancePaths(const Paths& paths, std::string_view id);

    std::filesystem::path folder;
    std::filesystem::path ended;              // what becomes of `folder` when it is terminated
    std::filesystem::path record;             // instance.json
    std::filesystem::path events;             // events.jsonl
    std::filesystem::path console;            // console.log
    std::filesystem::path user_data;          // as it was given
    std::filesystem::path warm_template;      // of a clone: what it is one of (warm/warm_template.h)
    std::filesystem::path firmware_variables; // of UEFI: the instance's own
    std::filesystem::path supervisor_log;
    std::filesystem::path network_log; // the network helper's
    std::filesystem::path space_lock;  // held while the guest is paused, as the host has no space left
    std::filesystem::path reserve;     // space for the records of a termination on a full disk
    std::filesystem::path disks;
    std::filesystem::path ssh;
    std::filesystem::path authorized_keys; // of an instance with a key pair: its key, then the launch key
    std::filesystem::path run;             // 0700, below Paths::run
    std::filesystem::path qmp_socket;
    std::filesystem::path agent_socket;
    std::filesystem::path clone_socket;   // to kiln-clone-agent, in a clone and in a template that is made
    std::filesystem::path console_socket; // of the guest's serial port, for one at a time (console_lock)
    std::filesystem::path console_lock;
    std::filesystem::path control_socket;         // the supervisor's
    std::filesystem::path pid_file;               // QEMU's
    std::filesystem::path network_pid_file;       // the network helper's, and its sockets:
    std::filesystem::path network_control_socket; // the supervisor asks
    std::filesystem::path metadata_socket;        // the instance metadata service
    std::filesystem::path frames;                 // QEMU's folder, where nothing is but these two sockets:
    std::filesystem::path network_socket;         // QEMU's frames come in
    std::filesystem::path qemu_network_socket;    // QEMU's own: frames for the guest
};

// All instances but the terminated ones, oldest first. One whose QEMU is gone while its record says running (a crash,
// a host reboot) is shown as stopped, with the reason.
[[nodiscard]] std::vector<Instance> list_instances(const Paths& paths);
// Those that were terminated, oldest first: of them only the record and the event log are left.
[[nodiscard]] std::vector<Instance> list_terminated(const Paths& paths);

// By id or name; a terminated one by its id alone. Throws Error{not_found} with what there is.
[[nodiscard]] Instance resolve_instance(const Paths& paths, std::string_view reference);

} // namespace kiln::launcher
