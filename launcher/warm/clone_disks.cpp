// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/clone_disks.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/packed_image.h"
#include "core/process.h"
#include "core/qcow2_header.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>

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

// An AMI's owner may have signed anything: it is to name no other file, and to be as large as the disk.
void unpack_disk(const VerifiedTemplate& from, std::size_t disk, const fs::path& to, ByteSize virtual_size)
{
    const std::string name = template_disk_file(disk);
    const ByteSize size = from.size_of(name);
    FileDescriptor out(::open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out || ::ftruncate(out.get(), static_cast<off_t>(size.bytes())) != 0) {
        throw system_error(errno, fmt::format("making {}", to.native()));
    }
    unpack_image(from.open(name).get(), out.get(), size, "the template's " + name);
    const std::string start = read_at(out.get(), 0, qcow2_header_bytes, "reading a disk");
    if (require_safe_qcow2(start, size).virtual_size != virtual_size) {
        throw Error(ErrorKind::untrusted, fmt::format("the template's {} is of another size", name));
    }
    out.close();
}

// False when the template is refused; nothing of it is left then.
bool unpack_disks(const Instance& instance, const fs::path& folder, TemplateChoice& choice)
{
    try {
        for (std::size_t i = 0; i < instance.disks.size(); ++i) {
            unpack_disk(*choice.verified, i, folder / instance.disks[i].overlay.filename(), instance.disks[i].size);
        }
        return true;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::untrusted) {
            throw;
        }
        choice = refused_template(error.message());
    }
    for (const InstanceDisk& disk : instance.disks) {
        fs::remove(folder / disk.overlay.filename());
    }
    return false;
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

void make_disks(const Instance& instance, const fs::path& folder, TemplateChoice* choice, const std::stop_token& stop)
{
    if (choice != nullptr && choice->verified && unpack_disks(instance, folder, *choice)) {
        return;
    }
    for (const InstanceDisk& disk : instance.disks) {
        make_empty(folder / disk.overlay.filename(), disk.size, stop);
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
