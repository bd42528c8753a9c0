// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/clone_disks.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/process.h"
#include "launcher/warm/warm_template.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <string>
#include <sys/ioctl.h>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

void make_empty(const fs::path& file, ByteSize size, const std::stop_token& stop)
{
    run_or_throw({.argv = {"qemu-img", "create", "-q", "-f", "qcow2", file.native(), std::to_string(size.bytes())}},
                 "creating the instance's disk", stop);
}

} // namespace

void copy_disk(const fs::path& from, const fs::path& to)
{
    const FileDescriptor in(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    FileDescriptor out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!in || !out) {
        throw system_error(errno, fmt::format("copying {}", from.native()));
    }
    if (::ioctl(out.get(), FICLONE, in.get()) != 0) {
        std::error_code error;
        fs::copy_file(from, to, fs::copy_options::overwrite_existing, error); // in the kernel
        if (error) {
            throw system_error(error.value(), fmt::format("copying {}", from.native()));
        }
        fs::permissions(to, fs::perms::owner_read | fs::perms::owner_write); // it takes those of `from`
    }
    out.close();
}

void make_disks(const Instance& instance, const fs::path& folder, const std::stop_token& stop)
{
    const bool clone = instance.warm && instance.warm->start == WarmLaunch::Start::clone;
    for (std::size_t i = 0; i < instance.disks.size(); ++i) {
        const fs::path file = folder / instance.disks[i].overlay.filename();
        if (clone) {
            copy_disk(instance.warm->folder / template_disk_file(i), file);
        } else {
            make_empty(file, instance.disks[i].size, stop);
        }
    }
}

void make_disks_anew(const Instance& instance, const std::stop_token& stop)
{
    for (const InstanceDisk& disk : instance.disks) {
        fs::remove(disk.overlay);
        make_empty(disk.overlay, disk.size, stop);
    }
}

} // namespace kiln::launcher
