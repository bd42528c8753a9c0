// SPDX-License-Identifier: Apache-2.0
// Bulk data into the appliance. libguestfs's own channel is a serial line: a tar of 464 MB takes it 69 s
// without KVM. Here the tar is written to the file behind a drive that the appliance has, which unpacks it
// from there.
#include "builder/appliance_state.h"

#include "core/file_descriptor.h"
#include "core/files.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr std::uintmax_t small = std::uintmax_t{256} << 10U; // where the channel is as fast

// To the beginning of `drive`, whose size stays.
void copy_to_drive(const fs::path& tar, const fs::path& drive)
{
    const FileDescriptor from(::open(tar.c_str(), O_RDONLY | O_CLOEXEC));
    const FileDescriptor to(::open(drive.c_str(), O_WRONLY | O_CLOEXEC));
    if (!from || !to) {
        throw system_error(errno, fmt::format("opening {}", (from ? drive : tar).native()));
    }
    auto left = static_cast<std::size_t>(fs::file_size(tar));
    while (left > 0) {
        const ssize_t copied = ::copy_file_range(from.get(), nullptr, to.get(), nullptr, left, 0);
        if (copied <= 0) {
            throw system_error(copied == 0 ? EIO : errno, fmt::format("copying {}", tar.native()));
        }
        left -= static_cast<std::size_t>(copied);
    }
}

} // namespace

void Appliance::unpack_tar(const fs::path& tar, const std::string& folder)
{
    const std::string doing = fmt::format("unpacking files into {}", folder);
    const std::uintmax_t size = fs::file_size(tar);
    if (!state_->transfer || size <= small) {
        struct guestfs_tar_in_opts_argv arguments {
        };
        arguments.bitmask = GUESTFS_TAR_IN_OPTS_XATTRS_BITMASK;
        arguments.xattrs = 1;
        state_->check(guestfs_tar_in_opts_argv(state_->get(), tar.c_str(), folder.c_str(), &arguments), doing);
        return;
    }
    if (ByteSize(size) > transfer_drive_size) {
        throw Error(ErrorKind::no_space,
                    fmt::format("{}: they are more than {}", doing, to_string(transfer_drive_size)));
    }
    copy_to_drive(tar, *state_->transfer);
    // In the guest a symbolic link may lead to the folder; tar runs outside its root.
    const String real(guestfs_realpath(state_->get(), folder.c_str()));
    if (!real) {
        state_->fail(ErrorKind::step_failed, doing);
    }
    state_->run_outside(fmt::format("device=/dev/disk/guestfs/{}; blockdev --flushbufs $device &&"
                                    " tar -xf $device --numeric-owner --xattrs --xattrs-include='*' -C {}",
                                    state_->transfer_label, shell_quoted(std::string("/sysroot") + real.get())),
                        doing);
}

} // namespace kiln::builder
