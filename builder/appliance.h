// SPDX-License-Identifier: Apache-2.0
// The one owner of libguestfs: a small virtual machine that opens untrusted disks, so that the host
// never does. Paths are the guest's, absolute. One thread.
//
// A guest's folders may be symbolic links, also hostile ones. Most of libguestfs's calls resolve a path inside the
// guest's root; the ones that hand a path to a program of the appliance (rm, ln, tar) don't, and would miss the file or
// find one of the appliance's own. These get `canonical` paths here.
#pragma once

#include "builder/appliance_drive.h"
#include "builder/disk_layout.h"
#include "core/accelerator.h"
#include "core/byte_size.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln::builder
{

struct ApplianceOptions {
    Accelerator accelerator = Accelerator::tcg;
    bool network = false;              // for `run` steps that ask for it
    std::filesystem::path temporary{}; // a folder for libguestfs's own files
    // The file behind the last drive, a raw one of `transfer_drive_size`, for bulk data on its way in.
    std::optional<std::filesystem::path> transfer{};
    // Where saved appliances are kept, on the file system of `temporary`; empty: a stock launch.
    std::filesystem::path warm{};
};

inline constexpr ByteSize transfer_drive_size = gibibytes(64); // sparse

struct Mountpoint {
    std::string mount;
    std::string device;
};

// Empty what it has none of.
struct FoundFilesystem {
    std::string device;
    std::string type; // "ext4"; "LVM2_member" and the like as well
    std::string uuid;
    std::string label;
};

class Appliance
{
public:
    // Launches it from a saved one (under a second; the first time makes that, which takes as long as a stock launch),
    // or the stock way when that fails (seconds under KVM, about 20 s under TCG). A stop request kills it; the call
    // that then fails throws Error{interrupted}. Throws Error{missing_tool} when it can't be launched.
    Appliance(const ApplianceOptions& options, const std::vector<ApplianceDrive>& drives, const std::stop_token& stop);
    ~Appliance();
    Appliance(const Appliance&) = delete;
    Appliance& operator=(const Appliance&) = delete;

    // ApplianceOptions::temporary.
    [[nodiscard]] const std::filesystem::path& temporary() const noexcept;
    // Why it was launched the stock way though options.warm was given; empty when it was not.
    [[nodiscard]] const std::string& stock_reason() const noexcept;
    [[nodiscard]] bool started_warm() const noexcept;

    // All below throw Error{step_failed} with libguestfs's words, or {interrupted}.
    void make_gpt(const std::string& device, const std::vector<Partition>& partitions = {});
    // `type` may be "swap"; an empty label gives none.
    void make_filesystem(const std::string& device, const std::string& type, const std::string& label);
    [[nodiscard]] std::string filesystem_uuid(const std::string& device); // or LUKS volume's
    [[nodiscard]] std::string filesystem_type(const std::string& device);
    // `key_file` is in the mounted guest; `options` are cryptsetup's.
    void make_luks(const std::string& device, const std::string& key_file, const std::string& options);
    void open_luks(const std::string& device, const std::string& key_file, const std::string& name);
    void make_volume_group(const std::string& name, const std::string& device);
    void make_logical_volume(const std::string& group, const std::string& name, std::optional<ByteSize> size);
    void activate_volume_groups();
    // On the disks' partitions and on disks without any, but not on what is made of them: logical volumes, opened LUKS.
    [[nodiscard]] std::vector<FoundFilesystem> filesystems();
    [[nodiscard]] FoundFilesystem filesystem_on(const std::string& device);
    // What the one system on the disks mounts where, "/" first, by libguestfs's own inspection, which takes seconds.
    [[nodiscard]] std::vector<Mountpoint> inspect_system();
    void mount(const std::string& device, const std::string& mount_point);
    void unmount(const std::string& mount_point);
    void unmount_all();                                                 // all that was written is on the disks then
    void write_file(const std::string& path, std::string_view content); // creates or replaces it
    [[nodiscard]] std::string read_file(const std::string& path);       // at most 16 MiB
    void set_mode(const std::string& path, std::uint32_t mode);
    void set_owner(const std::string& path, std::uint32_t user, std::uint32_t group);
    void make_link(const std::string& target, const std::string& path); // symbolic; replaces what is at `path`
    // The path of what is there without symbolic links.
    [[nodiscard]] std::string canonical(const std::string& path);
    // The same for all but the last component: the place of what is there, a link or nothing included.
    [[nodiscard]] std::string in_canonical_folder(const std::string& path);
    void make_directories(const std::string& path); // a symbolic link to a folder is one
    [[nodiscard]] bool exists(const std::string& path);
    [[nodiscard]] bool is_file(const std::string& path);                          // false for a symbolic link
    [[nodiscard]] bool is_folder(const std::string& path);                        // false for a symbolic link
    [[nodiscard]] std::vector<std::string> glob(const std::string& pattern);      // with {a,b}
    [[nodiscard]] std::vector<std::string> list(const std::string& folder);       // names
    [[nodiscard]] std::vector<std::string> list_below(const std::string& folder); // paths relative to it, all depths
    void remove_recursively(const std::string& path);
    void truncate(const std::string& path);
    // What is in an uncompressed tar on the host, below a folder of the guest's, with its owners and modes. The
    // caller vouches for the members' names.
    void unpack_tar(const std::filesystem::path& tar, const std::string& folder);
    // Runs argv in the guest's root; returns its standard output.
    std::string run(const std::vector<std::string>& argv);

    // The device of a drive (0 is the first one given) as a program run in the guest sees it. The
    // kernel names disks in the order in which it finds them, and libguestfs's own disk is among
    // them; only libguestfs's calls translate "/dev/sda".
    [[nodiscard]] std::string device_in_guest(std::size_t drive);

    // Ends what scripts left running in the guest's root: it could write on, and would keep mounts busy.
    void end_guest_processes();
    // Cuts the appliance off from its network or connects it again. Nothing where it has none. A script is root in the
    // appliance and could undo this: it keeps a recipe honest, and only `ApplianceOptions::network` is a wall.
    void connect_network(bool connected);
    // A folder in the appliance's memory (mode 0700) at `path`, which is a fixed name directly below the guest's /run:
    // nothing in it touches the disk. Removed again by the second. Throws Error{step_failed} where the guest has a
    // symbolic link in the way.
    void mount_memory(const std::string& path, ByteSize limit);
    void unmount_memory(const std::string& path);
    // write_file() that not even LIBGUESTFS_TRACE prints.
    void write_secret(const std::string& path, std::string_view content);

    struct Metadata {
        std::uint32_t mode = 0; // with the type, as stat(2) has it
        std::uint32_t user = 0;
        std::uint32_t group = 0;
        std::uint64_t size = 0;
    };
    // These three don't follow a symbolic link at the end of the path.
    [[nodiscard]] Metadata metadata(const std::string& path);
    [[nodiscard]] bool is_there(const std::string& path);
    [[nodiscard]] std::string link_target(const std::string& path);
    // Two trees, that at "/" and that at `other`, a path in it: the entries of find(1)'s -printf `format`, which starts
    // with no space and ends with a NUL, that are in one listing only. At most 16 MiB of each.
    [[nodiscard]] std::pair<std::string, std::string> listing_differences(const std::string& other,
                                                                          const std::string& format);
    // Of regular files and symbolic links below `root` ("" or a path): "SHA256  ./PATH", each with a NUL.
    [[nodiscard]] std::string content_digests(const std::string& root, const std::vector<std::string>& paths);
    // dpkg's lists of files of these packages ("NAME" or "NAME:ARCHITECTURE"), each after a line "@NAME".
    [[nodiscard]] std::string package_lists(const std::string& root, const std::vector<std::string>& packages);

    // Makes the free blocks of a mounted file system zeroes, each to its last byte: what was there is gone.
    void trim(const std::string& mount_point);
    // Unmounts, syncs and powers off; throws when that fails, so that a half-written disk is noticed.
    void shutdown();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace kiln::builder
