// SPDX-License-Identifier: Apache-2.0
#include "launcher/instance_store.h"

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/storage/volume_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

bool is_locked(const fs::path& file)
{
    if (!fs::exists(file)) {
        return false;
    }
    try {
        const FileLock lock(file, FileLock::Wait::fail, "busy");
        return false;
    } catch (const Error& error) {
        return error.kind() == ErrorKind::conflict;
    }
}

// Whether a command is at work on the instance: launching, starting, terminating.
bool is_busy(const InstancePaths& files)
{
    return is_locked(files.folder / "life.lock") || has_supervisor(files);
}

// The record, corrected by what can be seen: a guest without QEMU does not run.
Instance load_as_seen(const Paths& paths, const std::string& id, const std::vector<Volume>& volumes)
{
    const InstancePaths files(paths, id);
    Instance instance = with_volumes(paths, load_record(files), volumes);
    const bool claims_to_run = instance.state == InstanceState::running || instance.state == InstanceState::stopping;
    if (claims_to_run && !find_qemu(files, id)) {
        instance.state = InstanceState::stopped;
        instance.state_reason_code = "Server.InternalError";
        instance.state_reason = !instance.boot_id.empty() && instance.boot_id != host_boot_id()
                                    ? "the host was rebooted while it ran"
                                    : "its QEMU is gone: it was killed, or it crashed";
    } else if (instance.state == InstanceState::running && is_locked(files.space_lock)) {
        instance.state_reason = fmt::format("its guest is paused, as no space is left in {}; free some there (`kiln "
                                            "registry gc`), and it goes on by itself",
                                            paths.home.native());
    } else if (instance.state == InstanceState::pending && !find_qemu(files, id) && !is_busy(files)) {
        instance.state = InstanceState::stopped;
        instance.state_reason_code = "Server.InternalError";
        instance.state_reason = "its start was interrupted";
    } else if (instance.state == InstanceState::shutting_down && !is_busy(files)) {
        instance.state_reason = "its termination was interrupted; terminate it again";
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
    : folder(paths.instances / id), ended(paths.home / "ended" / id), record(folder / "instance.json"),
      events(folder / "events.jsonl"), console(folder / "console.log"), user_data(folder / "user-data"),
      warm_template(folder / "warm-template.json"), firmware_variables(folder / "firmware-variables.fd"),
      supervisor_log(folder / "supervisor.log"), network_log(folder / "network.log"), space_lock(folder / "space.lock"),
      reserve(folder / "reserve"), disks(folder / "disks"), ssh(folder / "ssh"),
      authorized_keys(ssh / "authorized_keys"), run(paths.run / id), qmp_socket(run / "qmp.sock"),
      agent_socket(run / "agent.sock"), clone_socket(run / "clone.sock"), console_socket(run / "console.sock"),
      console_lock(run / "console.lock"), control_socket(run / "control.sock"), pid_file(run / "qemu.pid"),
      network_pid_file(run / "network.pid"), network_control_socket(run / "netctl.sock"),
      metadata_socket(run / "imds.sock"), frames(run / "frames"), network_socket(frames / "helper.sock"),
      qemu_network_socket(frames / "qemu.sock")
{
}

Instance load_record(const InstancePaths& paths)
{
    return instance_from_json(parse_json(read_file(paths.record, mebibytes(1)), paths.record.native()));
}

void save_record(const InstancePaths& paths, const Instance& instance)
{
    Instance own = instance; // volumes know where they are attached, and nothing else does
    std::erase_if(own.disks, [](const InstanceDisk& disk) { return !disk.volume_id.empty(); });
    own.volumes.clear();
    write_file_durably(paths.record, to_json(own).dump(2) + "\n", 0600);
}

Instance update_record(const InstancePaths& paths, const std::function<void(Instance&)>& change)
{
    if (!fs::exists(paths.record)) { // the lock would be made anew
        throw Error(ErrorKind::not_found, fmt::format("{} is gone", paths.folder.filename().native()));
    }
    const FileLock lock(paths.folder / "record.lock", FileLock::Wait::block);
    Instance instance = load_record(paths);
    change(instance);
    save_record(paths, instance);
    return instance;
}

void append_event(const InstancePaths& paths, std::string_view event, const Json& detail)
{
    append_event_line(paths.events, event, detail);
}

void append_event_line(const fs::path& log, std::string_view event, const Json& detail)
{
    FileDescriptor fd(::open(log.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    std::string line = Json{{"time", iso_now()}, {"event", event}, {"detail", detail}}.dump() + "\n";
    char last = '\n';
    if (const off_t end = fd ? ::lseek(fd.get(), 0, SEEK_END) : 0;
        end > 0 && ::pread(fd.get(), &last, 1, end - 1) == 1 && last != '\n') {
        line.insert(0, "\n");
    }
    if (!fd || ::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
        ::fdatasync(fd.get()) != 0) {
        throw system_error(errno, fmt::format("writing {}", log.native()));
    }
}

void touch_events(const InstancePaths& paths) noexcept
{
    ::utimensat(AT_FDCWD, paths.events.c_str(), nullptr, 0);
}

bool has_supervisor(const InstancePaths& paths)
{
    return is_locked(paths.folder / "supervisor.lock");
}

std::string host_boot_id()
{
    static const std::string id = [] {
        std::string text = read_file("/proc/sys/kernel/random/boot_id", ByteSize(64));
        text.erase(text.find_last_not_of('\n') + 1);
        return text;
    }();
    return id;
}

std::chrono::system_clock::time_point host_boot_time()
{
    timespec now{};
    timespec up{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    ::clock_gettime(CLOCK_BOOTTIME, &up);
    return std::chrono::system_clock::from_time_t(now.tv_sec - up.tv_sec);
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

namespace
{

std::vector<Instance> list_folder(const fs::path& folder, const std::function<Instance(const std::string&)>& load)
{
    std::vector<Instance> instances;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
        const std::string id = entry.path().filename();
        if (!is_resource_id("i-", id)) {
            continue;
        }
        try {
            instances.push_back(load(id));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) { // terminated while we looked
                throw;
            }
        }
    }
    std::ranges::sort(instances, {}, [](const Instance& i) { return std::tie(i.launched, i.id); });
    return instances;
}

Instance load_terminated(const Paths& paths, const std::string& id)
{
    InstancePaths files(paths, id);
    files.record = files.ended / files.record.filename();
    return load_record(files);
}

} // namespace

std::vector<Instance> list_instances(const Paths& paths)
{
    const std::vector<Volume> volumes = list_volumes(paths);
    return list_folder(paths.instances, [&](const std::string& id) { return load_as_seen(paths, id, volumes); });
}

std::vector<Instance> list_terminated(const Paths& paths)
{
    return list_folder(paths.home / "ended", [&](const std::string& id) { return load_terminated(paths, id); });
}

Instance resolve_instance(const Paths& paths, std::string_view reference)
{
    if (is_resource_id("i-", reference)) { // no need to look at the others
        const std::string id(reference);
        for (const bool terminated : {false, true}) {
            try {
                return terminated ? load_terminated(paths, id) : load_as_seen(paths, id, list_volumes(paths));
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::not_found) {
                    throw;
                }
            }
        }
    }
    std::vector<std::string> known;
    for (Instance& instance : list_instances(paths)) {
        if (instance.name == reference) {
            return std::move(instance);
        }
        known.push_back(instance.id);
    }
    throw Error(ErrorKind::not_found, fmt::format("there is no instance {}", printable(reference, false)),
                known.empty() ? "there is none at all; `kiln run AMI` launches one"
                              : fmt::format("`kiln instance list` shows them: {}", join(known, ", ")));
}

} // namespace kiln::launcher
