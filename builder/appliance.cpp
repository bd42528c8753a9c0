// SPDX-License-Identifier: Apache-2.0
#include "builder/appliance_state.h"

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

#include <fmt/format.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

std::vector<char*> as_argv(const std::vector<std::string>& strings)
{
    std::vector<char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (const std::string& string : strings) {
        pointers.push_back(const_cast<char*>(string.c_str()));
    }
    pointers.push_back(nullptr);
    return pointers;
}

} // namespace

void Appliance::make_gpt(const std::string& device, const std::vector<Partition>& partitions)
{
    // One program: libguestfs's calls take half a second each, and a partition needs four. What is on the disk stays.
    std::string table = "label: gpt\n";
    for (const Partition& partition : partitions) {
        table += fmt::format("start={}, size={}, type={}, name=\"{}\"\n", partition.first_sector,
                             partition.last_sector - partition.first_sector + 1, partition.gpt_type, partition.name);
    }
    state_->run_outside(fmt::format("printf %s {} | sfdisk --quiet --wipe never --wipe-partitions never {} &&"
                                    " udevadm settle",
                                    shell_quoted(table), device_for_programs(device)),
                        "writing the partition table");
}

void Appliance::mount(const std::string& device, const std::string& mount_point)
{
    state_->check(guestfs_mount(state_->get(), device.c_str(), mount_point.c_str()),
                  fmt::format("mounting {} at {}", device, mount_point));
}

void Appliance::unmount(const std::string& mount_point)
{
    struct guestfs_umount_opts_argv arguments {
    };
    state_->check(guestfs_umount_opts_argv(state_->get(), mount_point.c_str(), &arguments),
                  fmt::format("unmounting {}", mount_point));
}

void Appliance::unmount_all()
{
    // The kernel writes a device's last blocks when its last user goes, so a sync would only take time.
    state_->check(guestfs_umount_all(state_->get()), "unmounting the disks");
}

void Appliance::write_file(const std::string& path, std::string_view content)
{
    constexpr std::size_t largest_message = 1 << 20; // libguestfs's protocol ends a little above 2 MiB
    if (content.size() > largest_message) {
        const fs::path file = state_->temporary / "upload";
        write_file_durably(file, content, 0600);
        state_->check(guestfs_upload(state_->get(), file.c_str(), path.c_str()), fmt::format("writing {}", path));
        fs::remove(file);
        return;
    }
    state_->check(guestfs_write(state_->get(), path.c_str(), content.data(), content.size()),
                  fmt::format("writing {}", path));
}

std::string Appliance::read_file(const std::string& path)
{
    constexpr std::int64_t limit = 16 << 20;
    const std::int64_t size = guestfs_filesize(state_->get(), path.c_str());
    if (size < 0 || size > limit) {
        if (size < 0) {
            state_->fail(ErrorKind::step_failed, fmt::format("reading {}", path));
        }
        throw Error(ErrorKind::step_failed, fmt::format("{} in the image is larger than 16 MiB", path));
    }
    // In pieces: guestfs_read_file() would leave a copy on the host for a moment.
    constexpr int piece = 1 << 20;
    std::string bytes;
    while (bytes.size() < static_cast<std::size_t>(size)) {
        std::size_t length = 0;
        const String read(
            guestfs_pread(state_->get(), path.c_str(), piece, static_cast<std::int64_t>(bytes.size()), &length));
        if (!read) {
            state_->fail(ErrorKind::step_failed, fmt::format("reading {}", path));
        }
        if (length == 0) {
            break;
        }
        bytes.append(read.get(), length);
    }
    return bytes;
}

void Appliance::set_mode(const std::string& path, std::uint32_t mode)
{
    state_->check(guestfs_chmod(state_->get(), static_cast<int>(mode), path.c_str()),
                  fmt::format("setting the mode of {}", path));
}

void Appliance::set_owner(const std::string& path, std::uint32_t user, std::uint32_t group)
{
    state_->check(guestfs_chown(state_->get(), static_cast<int>(user), static_cast<int>(group), path.c_str()),
                  fmt::format("setting the owner of {}", path));
}

const fs::path& Appliance::temporary() const noexcept
{
    return state_->temporary;
}

std::string Appliance::canonical(const std::string& path)
{
    const String found(guestfs_realpath(state_->get(), path.c_str()));
    if (!found) {
        state_->fail(ErrorKind::step_failed, fmt::format("looking for {}", path));
    }
    return found.get();
}

std::string Appliance::in_canonical_folder(const std::string& path)
{
    const fs::path entry = path.ends_with('/') ? fs::path(path).parent_path() : fs::path(path);
    return fs::path(canonical(entry.parent_path())) / entry.filename();
}

void Appliance::make_link(const std::string& target, const std::string& path)
{
    const std::string link = in_canonical_folder(path);
    remove_recursively(link);
    state_->check(guestfs_ln_s(state_->get(), target.c_str(), link.c_str()), fmt::format("linking {}", path));
}

void Appliance::make_directories(const std::string& path)
{
    // Not guestfs_mkdir_p(): it refuses a path that ends in a symbolic link to a folder.
    struct guestfs_is_dir_opts_argv arguments {
    };
    arguments.bitmask = GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS_BITMASK;
    arguments.followsymlinks = 1;
    const int there = guestfs_is_dir_opts_argv(state_->get(), path.c_str(), &arguments);
    state_->check(there, fmt::format("looking for {}", path));
    if (there == 0) {
        make_directories(fs::path(path).parent_path());
        state_->check(guestfs_mkdir(state_->get(), path.c_str()), fmt::format("creating {}", path));
    }
}

bool Appliance::exists(const std::string& path)
{
    const int result = guestfs_exists(state_->get(), path.c_str());
    state_->check(result, fmt::format("looking for {}", path));
    return result == 1;
}

bool Appliance::is_file(const std::string& path)
{
    struct guestfs_is_file_opts_argv arguments {
    };
    const int result = guestfs_is_file_opts_argv(state_->get(), path.c_str(), &arguments);
    state_->check(result, fmt::format("looking for {}", path));
    return result == 1;
}

bool Appliance::is_folder(const std::string& path)
{
    struct guestfs_is_dir_opts_argv arguments {
    };
    const int result = guestfs_is_dir_opts_argv(state_->get(), path.c_str(), &arguments);
    state_->check(result, fmt::format("looking for {}", path));
    return result == 1;
}

std::string Appliance::device_in_guest(std::size_t drive)
{
    std::string device = run({"readlink", "-f", "/dev/disk/guestfs/" + label_of(drive)});
    device.erase(device.find_last_not_of('\n') + 1);
    return device;
}

std::vector<std::string> Appliance::glob(const std::string& pattern)
{
    struct guestfs_glob_expand_opts_argv arguments {
    };
    arguments.bitmask = GUESTFS_GLOB_EXPAND_OPTS_DIRECTORYSLASH_BITMASK;
    arguments.directoryslash = 0;
    return state_->strings(guestfs_glob_expand_opts_argv(state_->get(), pattern.c_str(), &arguments),
                           fmt::format("looking for {}", pattern));
}

std::vector<std::string> Appliance::list(const std::string& folder)
{
    return state_->strings(guestfs_ls(state_->get(), folder.c_str()), fmt::format("listing {}", folder));
}

std::vector<std::string> Appliance::list_below(const std::string& folder)
{
    std::vector<std::string> paths =
        state_->strings(guestfs_find(state_->get(), canonical(folder).c_str()), fmt::format("listing {}", folder));
    for (std::string& path : paths) {
        path.erase(0, path.find_first_not_of('/')); // guestfs_find() has one there, unlike what its manual says
    }
    return paths;
}

void Appliance::remove_recursively(const std::string& path)
{
    const std::string folder = fs::path(path).parent_path();
    if (exists(folder)) {
        state_->check(guestfs_rm_rf(state_->get(), in_canonical_folder(path).c_str()),
                      fmt::format("removing {}", path));
    }
}

void Appliance::truncate(const std::string& path)
{
    state_->check(guestfs_truncate(state_->get(), path.c_str()), fmt::format("emptying {}", path));
}

std::string Appliance::run(const std::vector<std::string>& argv)
{
    const String output(guestfs_command(state_->get(), as_argv(argv).data()));
    if (!output) {
        state_->fail(ErrorKind::step_failed, fmt::format("running {} in the image", argv.at(0)));
    }
    return output.get();
}

void Appliance::end_guest_processes()
{
    // By their root: it is what tells them from the appliance's own. More than one pass, for what forks meanwhile.
    state_->run_outside(R"(for pass in 1 2 3 4 5 6 7 8 9; do
found=$(find /proc/[0-9]* -maxdepth 1 -name root -lname '/sysroot*' 2>/dev/null | cut -d/ -f3)
[ -n "$found" ] || exit 0
kill -KILL $found; done; echo they come back; exit 1)",
                        "ending what scripts left running");
}

void Appliance::connect_network(bool connected)
{
    // The default route goes with the link and doesn't come back with it.
    constexpr const char* disconnect = R"(for device in $(cd /sys/class/net && ls); do
if [ $device != lo ] && ip link show dev $device up | grep -q .; then
ip route show default dev $device >/tmp/route.$device && ip link set dev $device down || exit 1; fi; done)";
    constexpr const char* connect = R"(for device in $(cd /sys/class/net && ls); do
if [ -e /tmp/route.$device ]; then
ip link set dev $device up && ip route replace $(cat /tmp/route.$device) dev $device && rm /tmp/route.$device || exit 1
fi; done)";
    state_->run_outside(connected ? connect : disconnect, "switching the appliance's network");
}

void Appliance::mount_memory(const std::string& path, ByteSize limit)
{
    if (fs::path(path).parent_path() != "/run") {
        throw Error(ErrorKind::internal, fmt::format("{} is not directly below /run", path));
    }
    make_directories(path);
    if (!is_folder("/run") || !is_folder(path)) {
        throw Error(ErrorKind::step_failed, fmt::format("/run or {} in the image is a symbolic link", path));
    }
    state_->run_outside(fmt::format("mount -t tmpfs -o mode=0700,size={} kiln /sysroot{}", limit.bytes(), path),
                        fmt::format("mounting memory at {}", path));
}

void Appliance::unmount_memory(const std::string& path)
{
    state_->run_outside(fmt::format("umount /sysroot{0} && {{ rmdir /sysroot{0} 2>/dev/null || true; }}", path),
                        fmt::format("unmounting {}", path));
}

void Appliance::write_secret(const std::string& path, std::string_view content)
{
    const int trace = guestfs_get_trace(state_->get());
    state_->check(guestfs_set_trace(state_->get(), 0), "switching libguestfs's trace off");
    const int result = guestfs_write(state_->get(), path.c_str(), content.data(), content.size());
    guestfs_set_trace(state_->get(), trace);
    state_->check(result, fmt::format("writing {}", path));
}

void Appliance::trim(const std::string& mount_point)
{
    // A discard is a hint, which qcow2 takes for whole clusters only. As WRITE SAME it is an order.
    state_->run_outside("for mode in /sys/class/scsi_disk/*/provisioning_mode; do"
                        " echo writesame_16 > $mode; grep -q writesame_16 $mode || exit 1; done",
                        "choosing how free blocks are cleared");
    struct guestfs_fstrim_argv arguments {
    };
    state_->check(guestfs_fstrim_argv(state_->get(), mount_point.c_str(), &arguments), "clearing free blocks");
}

void Appliance::shutdown()
{
    // It unmounts and syncs first, as autosync is on, and tells when that fails.
    state_->check(guestfs_shutdown(state_->get()), "shutting the appliance down");
    state_->on_stop.reset();
}

} // namespace kiln::builder
