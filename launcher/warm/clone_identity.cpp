// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/clone_identity.h"

#include "core/error.h"
#include "core/files.h"
#include "core/parallel.h"
#include "core/process.h"
#include "core/text.h"
#include "launcher/qemu_command.h"
#include "launcher/vpc/vpc.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t longest_answer = std::size_t{64} << 10U;
constexpr std::chrono::minutes clock_tolerance{5}; // past which it was not set at all
constexpr std::string_view answer_what = "the answer of kiln-clone-agent";
constexpr std::array<std::string_view, 3> known_key_types{"ed25519", "ecdsa", "rsa"};

std::string lines_of(const fs::path& file)
{
    std::string lines = read_file(file, mebibytes(1));
    lines.erase(lines.find_last_not_of(" \r\n") + 1);
    return lines;
}

HostKey make_host_key(const std::string& type, const fs::path& folder, const std::string& host_name)
{
    const fs::path file = folder / ("ssh_host_" + type + "_key");
    run_or_throw({.argv = {"ssh-keygen", "-q", "-t", type, "-N", "", "-C", "root@" + host_name, "-f", file.native()}},
                 "making a host key");
    return {type, read_file(file), read_file(file.native() + ".pub")};
}

void add_host_key(CloneMessage& message, const HostKey& key)
{
    const std::string path = "/etc/ssh/ssh_host_" + key.type + "_key";
    message.emplace_back("file", fmt::format("0600 {}\n{}", path, key.secret_key));
    message.emplace_back("file", fmt::format("0644 {}.pub\n{}", path, key.public_key));
}

Json parse_answer(std::string_view line, std::string_view wanted)
{
    if (line.size() > longest_answer) {
        throw Error(ErrorKind::launch, "kiln-clone-agent sent more than is an answer");
    }
    try {
        Json json = parse_json(line, answer_what);
        const std::string answer = string_member(json, "answer", answer_what);
        if (answer == "failed") {
            throw Error(ErrorKind::launch,
                        fmt::format("in the guest: {}",
                                    printable(string_member(json, "reason", answer_what).substr(0, 500), false)));
        }
        if (answer != wanted) {
            throw Error(ErrorKind::launch, fmt::format(R"(kiln-clone-agent answered "{}" where "{}" is due)",
                                                       printable(answer.substr(0, 40), false), wanted));
        }
        return json;
    } catch (const Error& error) {
        throw Error(ErrorKind::launch, error.message());
    }
}

void require_equal(std::string_view what, std::string_view found, std::string_view wanted)
{
    if (found != wanted) {
        throw Error(ErrorKind::launch, fmt::format("the guest has the {} {} instead of {}", what,
                                                   printable(found.substr(0, 100), false), wanted));
    }
}

std::string seconds_and_nanoseconds(std::chrono::system_clock::time_point time)
{
    const auto since = time.time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    return fmt::format("{} {}", seconds.count(),
                       std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count());
}

bool is_hexadecimal(std::string_view text, std::size_t digits)
{
    return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

} // namespace

std::future<std::vector<HostKey>> make_host_keys(const std::vector<std::string>& types, const fs::path& folder,
                                                 const std::string& host_name)
{
    return std::async(std::launch::async, [=] {
        fs::remove_all(folder);
        make_directories(folder, 0700);
        std::vector<HostKey> keys(types.size());
        in_parallel(types.size(), [&](std::size_t i) { keys[i] = make_host_key(types[i], folder, host_name); });
        fs::remove_all(folder);
        return keys;
    });
}

CloneIdentity identity_of(const Instance& instance, const Paths& home, const WarmTemplate& one)
{
    const InstancePaths files(home, instance.id);
    CloneIdentity identity;
    // systemd makes it of the UUID where an image has none.
    identity.machine_id = system_uuid(instance.id);
    std::erase(identity.machine_id, '-');
    // cloud-init takes the name from the metadata service, others from DHCP; a VPC's has the instance's name, too.
    identity.host_name = one.cloud_init || !instance.vpc_id.empty() ? instance.name.value_or(instance.id) : instance.id;
    identity.mac = mac_address(instance.id);
    if (!instance.vpc_id.empty()) {
        const Vpc vpc = load_vpc(home, instance.vpc_id);
        identity.address =
            CloneAddress{instance.private_ip_address, ipv4_text(vpc.cidr.netmask()), ipv4_text(vpc.router())};
    }
    identity.launch_keys =
        lines_of(instance.key_name.empty() ? fs::path(instance.ssh_key.native() + ".pub") : files.authorized_keys);
    identity.cloud_init = one.cloud_init && instance.user_data;
    return identity;
}

CloneMessage identity_message(const Instance& instance, const WarmTemplate& one, const CloneIdentity& identity,
                              const std::vector<HostKey>& keys, std::string_view seed,
                              std::chrono::system_clock::time_point now)
{
    CloneMessage message{
        {"identity", ""},
        {"seed", std::string(seed)},
        {"time", seconds_and_nanoseconds(now)},
        {"old-instance-id", one.instance_id},
        {"instance-id", instance.id},
        {"machine-id", identity.machine_id},
        {"old-host-name", one.instance_id},
        {"host-name", identity.host_name},
        {"old-mac", mac_address(one.instance_id)},
        {"mac", identity.mac},
        {"old-launch-key", one.launch_key},
        {"launch-keys", identity.launch_keys},
    };
    if (const auto& address = identity.address) {
        message.emplace_back("address", fmt::format("{} {} {}", address->own, address->netmask, address->router));
    }
    for (const HostKey& key : keys) {
        add_host_key(message, key);
    }
    if (identity.cloud_init) {
        message.emplace_back("cloud-init", "anew");
    }
    return message;
}

CloneMessage thaw_message(std::chrono::system_clock::time_point now)
{
    return {{"thaw", ""}, {"time", seconds_and_nanoseconds(now)}};
}

AgentReady parse_ready(std::string_view line)
{
    const Json json = parse_answer(line, "ready");
    AgentReady ready;
    try {
        for (const Json& type : member(json, "host_key_types", answer_what)) {
            const std::string name = type.get<std::string>();
            if (std::ranges::find(known_key_types, name) == known_key_types.end()) {
                throw Error(ErrorKind::launch, "the guest has host keys of a type that nobody knows");
            }
            ready.host_key_types.push_back(name);
        }
        ready.cloud_init = bool_member(json, "cloud_init", answer_what);
    } catch (const Json::exception&) {
        throw Error(ErrorKind::launch, fmt::format("{} is malformed", answer_what));
    } catch (const Error& error) {
        throw Error(ErrorKind::launch, error.message());
    }
    return ready;
}

void parse_frozen(std::string_view line)
{
    static_cast<void>(parse_answer(line, "frozen"));
}

void parse_thawed(std::string_view line)
{
    static_cast<void>(parse_answer(line, "thawed"));
}

CloneWord parse_done(std::string_view line, const CloneIdentity& identity, std::chrono::system_clock::time_point now)
{
    const Json json = parse_answer(line, "done");
    CloneWord word;
    std::chrono::nanoseconds clock{};
    try {
        word.machine_id = string_member(json, "machine_id", answer_what);
        word.host_name = string_member(json, "host_name", answer_what);
        word.mac = string_member(json, "mac", answer_what);
        word.address = string_member(json, "address", answer_what);
        word.random = string_member(json, "random", answer_what);
        clock = std::chrono::nanoseconds(integer_member(json, "clock", answer_what));
    } catch (const Error& error) {
        throw Error(ErrorKind::launch, error.message());
    }
    require_equal("machine id", word.machine_id, identity.machine_id);
    require_equal("MAC address", word.mac, identity.mac);
    if (identity.address) {
        require_equal("address", word.address, identity.address->own);
    }
    if (!is_hexadecimal(word.random, 64)) {
        throw Error(ErrorKind::launch, "the guest sent no random bytes");
    }
    // In whole milliseconds first: the guest may say any number.
    const auto said = std::chrono::duration_cast<std::chrono::milliseconds>(clock);
    word.clock_lag = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()) - said;
    if (word.clock_lag > clock_tolerance || word.clock_lag < -clock_tolerance) {
        throw Error(ErrorKind::launch, fmt::format("the guest's clock is {} ms off", word.clock_lag.count()));
    }
    word.address = printable(word.address.substr(0, 64), false);
    // An image's own name is not Kiln's to change.
    word.host_name = printable(word.host_name.substr(0, 64), false);
    return word;
}

} // namespace kiln::launcher
