// SPDX-License-Identifier: Apache-2.0
// What a clone is told, so that nothing of the template's identity is left in it, and what it answers: the guest's
// word, and hostile.
#pragma once

#include "core/json.h"
#include "launcher/instance.h"
#include "launcher/warm/clone_message.h"
#include "launcher/warm/warm_template.h"

#include <chrono>
#include <filesystem>
#include <future>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

// SSH host keys, made on the host, where it is quicker than in a guest without KVM, in the background; `folder` is
// there for that time. The future throws Error{missing_tool, io}.
struct HostKey {
    std::string type; // "ed25519"
    std::string secret_key;
    std::string public_key;
};
[[nodiscard]] std::future<std::vector<HostKey>> make_host_keys(const std::vector<std::string>& types,
                                                               const std::filesystem::path& folder,
                                                               const std::string& host_name);

struct CloneAddress {
    std::string own; // "172.31.0.5"
    std::string netmask;
    std::string router;
};

struct CloneIdentity {
    std::string machine_id; // 32 hex digits
    std::string host_name;
    std::string mac;
    std::optional<CloneAddress> address; // in a VPC; in user mode the template's is right: each guest has a network
    std::string launch_keys;             // lines of authorized_keys: the key pair's, if any, and the launch key's
    bool cloud_init = false;             // is to run as for a new instance
};
// As a cold launch gives it to the same instance. Throws Error{io, not_found}.
[[nodiscard]] CloneIdentity identity_of(const Instance& instance, const Paths& home, const WarmTemplate& one);

// `seed`: 64 fresh bytes.
[[nodiscard]] CloneMessage identity_message(const Instance& instance, const WarmTemplate& one,
                                            const CloneIdentity& identity, const std::vector<HostKey>& keys,
                                            std::string_view seed, std::chrono::system_clock::time_point now);

// To the machine that was saved, which goes on as what it was.
[[nodiscard]] CloneMessage thaw_message(std::chrono::system_clock::time_point now);

// Answers of kiln-clone-agent, each a line of at most 64 KiB. Each function throws Error{launch} for another answer
// than the one that is due, and with the guest's reason when it failed.
struct AgentReady {
    std::vector<std::string> host_key_types;
    bool cloud_init = false;
};
[[nodiscard]] AgentReady parse_ready(std::string_view line);
void parse_frozen(std::string_view line);
void parse_thawed(std::string_view line);
// Compares what the guest says that it is with what it was told.
struct CloneWord {
    std::string machine_id;
    std::string host_name;
    std::string mac;
    std::string address;
    std::string random;                     // 64 hex digits, drawn after the reseed and before anything else ran
    std::chrono::milliseconds clock_lag{0}; // behind `now`
};
[[nodiscard]] CloneWord parse_done(std::string_view line, const CloneIdentity& identity,
                                   std::chrono::system_clock::time_point now);

} // namespace kiln::launcher
