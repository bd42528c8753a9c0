// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/guest_memory.h"

#include "core/error.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

constexpr int fixed_size = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr int fixed_content = fixed_size | F_SEAL_WRITE | F_SEAL_SEAL;

} // namespace

FileDescriptor make_guest_memory(ByteSize size)
{
    FileDescriptor memory(::memfd_create("kiln-guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(size.bytes())) != 0 ||
        ::fcntl(memory.get(), F_ADD_SEALS, fixed_size) != 0) {
        throw system_error(errno, "making a guest's memory");
    }
    return memory;
}

void seal_guest_memory(const FileDescriptor& memory)
{
    if (::fcntl(memory.get(), F_ADD_SEALS, fixed_content) != 0) {
        throw system_error(errno, "sealing a guest's memory");
    }
}

bool is_sealed_memory(const FileDescriptor& memory, ByteSize size) noexcept
{
    struct stat status {
    };
    return ::fcntl(memory.get(), F_GET_SEALS) == fixed_content && ::fstat(memory.get(), &status) == 0 &&
           ByteSize(static_cast<std::uint64_t>(status.st_size)) == size;
}

} // namespace kiln::launcher
