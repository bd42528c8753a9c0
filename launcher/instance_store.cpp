// SPDX-License-Identifier: Apache-2.0
#include "launcher/instance_store.h"

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

// The record, corrected by what can be seen: a guest without QEMU does not run.
Instance load_as_seen(const Paths& paths, const std::string& id)
{
    const InstancePaths files(paths, id);
    Instance instance = load_record(files);
    const bool claims_to_run =
        instance.state == InstanceState::running || instance.state == InstanceState::shutting_down;
    if (claims_to_run && !find_qemu(files, id)) {
        instance.state = InstanceState::stopped;
        instance.state_reason = "its QEMU is gone: killed, crashed, or the host was rebooted";
    }
    return instance;
}

// The pid in the file, if that process has `mark` on its command line (whose words end in NUL).
std::optional<pid_t> find_process(const fs::path& pid_file, std::string_view mark)
{
    try {
        const std::string text = read_file(pid_file, ByteSize(64));
        pid_t pid = 0;
        std::from_chars(text.data(), text.data() + text.size(), pid);
        const std::string argv = pid > 0 ? read_file(fmt::format("/proc/{}/cmdline", pid)) : "";
        return argv.find(mark) != std::string::npos ? std::optional(pid) : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

} // namespace

InstancePaths::InstancePaths(const Paths& paths, std::string_view id)
    : folder(paths.instances / id), record(folder / "instance.json"), events(folder / "events.jsonl"),
      console(folder / "console.log"), user_data(folder / "user-data"),
      firmware_variables(folder / "firmware-variables.fd"), supervisor_log(folder / "supervisor.log"),
      network_log(folder / "network.log"), disks(folder / "disks"), ssh(folder / "ssh"), run(paths.run / id),
      qmp_socket(run / "qmp.sock"), agent_socket(run / "agent.sock"), control_socket(run / "control.sock"),
      pid_file(run / "qemu.pid"), network_pid_file(run / "network.pid"), network_control_socket(run / "netctl.sock"),
      network_socket(run / "net.sock"), metadata_socket(run / "imds.sock"), qemu_network_socket(run / "netqemu.sock")
{
}

Instance load_record(const InstancePaths& paths)
{
    return instance_from_json(parse_json(read_file(paths.record, mebibytes(1)), paths.record.native()));
}

void save_record(const InstancePaths& paths, const Instance& instance)
{
    write_file_durably(paths.record, to_json(instance).dump(2) + "\n", 0600);
}

void append_event(const InstancePaths& paths, std::string_view event, const Json& detail)
{
    FileDescriptor fd(::open(paths.events.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const std::string line = Json{{"time", iso_now()}, {"event", event}, {"detail", detail}}.dump() + "\n";
    if (!fd || ::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
        ::fdatasync(fd.get()) != 0) {
        throw system_error(errno, fmt::format("writing {}", paths.events.native()));
    }
}

std::optional<pid_t> find_qemu(const InstancePaths& paths, std::string_view id)
{
    return find_process(paths.pid_file, fmt::format("guest={},", id));
}

std::optional<pid_t> find_network_helper(const InstancePaths& paths, std::string_view id)
{
    using namespace std::string_view_literals;
    return find_process(paths.network_pid_file, fmt::format("{}{}", "network\0"sv, id));
}

std::vector<Instance> list_instances(const Paths& paths)
{
    std::vector<Instance> instances;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(paths.instances, ignored)) {
        const std::string id = entry.path().filename();
        if (!is_resource_id("i-", id)) {
            continue;
        }
        try {
            instances.push_back(load_as_seen(paths, id));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) { // terminated while we looked
                throw;
            }
        }
    }
    std::ranges::sort(instances, {}, [](const Instance& i) { return std::tie(i.launched, i.id); });
    return instances;
}

Instance resolve_instance(const Paths& paths, std::string_view reference)
{
    std::vector<std::string> known;
    for (Instance& instance : list_instances(paths)) {
        if (instance.id == reference || instance.name == reference) {
            return std::move(instance);
        }
        known.push_back(instance.id);
    }
    throw Error(ErrorKind::not_found, fmt::format("there is no instance {}", printable(reference, false)),
                known.empty() ? "there is none at all; `kiln run AMI` launches one"
                              : fmt::format("`kiln instance list` shows them: {}", join(known, ", ")));
}

} // namespace kiln::launcher
