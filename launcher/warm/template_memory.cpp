// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/template_memory.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/packed_image.h"
#include "launcher/warm/guest_memory.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr std::string_view what = "the list of who has a template's memory";
constexpr ByteSize longest_list = mebibytes(1);

// One that has ended leaves a pid that another process may have by now: only one of this same program is believed,
// which neither QEMU nor a program of another user is.
bool is_of_this_program(pid_t pid)
{
    struct stat owner {
    };
    std::error_code unknown;
    const fs::path process = fmt::format("/proc/{}", pid);
    return ::stat(process.c_str(), &owner) == 0 && owner.st_uid == ::geteuid() &&
           fs::read_symlink(process / "exe", unknown) == fs::read_symlink("/proc/self/exe", unknown) && !unknown;
}

// None when it is gone, or is not what it was.
FileDescriptor open_held(const Json& holder, ByteSize size)
{
    const auto pid = static_cast<pid_t>(integer_member(holder, "pid", what));
    if (!is_of_this_program(pid)) {
        return {};
    }
    FileDescriptor memory(::open(fmt::format("/proc/{}/fd/{}", pid, integer_member(holder, "descriptor", what)).c_str(),
                                 O_RDWR | O_CLOEXEC | O_NONBLOCK));
    struct stat status {
    };
    const bool same = memory && is_sealed_memory(memory, size) && ::fstat(memory.get(), &status) == 0 &&
                      static_cast<std::int64_t>(status.st_ino) == integer_member(holder, "inode", what);
    return same ? std::move(memory) : FileDescriptor();
}

Json read_holders(const fs::path& list)
{
    try {
        Json holders = parse_json(read_file(list, longest_list), what);
        return holders.is_array() ? holders : Json::array();
    } catch (const Error&) { // none yet, or cut off by a crash
        return Json::array();
    }
}

FileDescriptor load(const FileDescriptor& packed, ByteSize size)
{
    FileDescriptor memory = make_guest_memory(size);
    unpack_image(packed.get(), memory.get(), size, "the template's memory");
    seal_guest_memory(memory);
    return memory;
}

} // namespace

FileDescriptor share_template_memory(const Paths& paths, const std::string& name, const FileDescriptor& packed,
                                     ByteSize size)
{
    const std::string file = fmt::format("template-{}", name.substr(0, 24));
    const FileLock lock(paths.run / (file + ".lock"), FileLock::Wait::block);
    const fs::path list = paths.run / (file + ".json");
    Json holders = Json::array();
    FileDescriptor memory;
    for (const Json& holder : read_holders(list)) {
        if (FileDescriptor held = open_held(holder, size)) {
            memory = memory ? std::move(memory) : std::move(held);
            holders.push_back(holder);
        }
    }
    if (!memory) {
        memory = load(packed, size);
    }
    struct stat status {
    };
    if (::fstat(memory.get(), &status) != 0) {
        throw system_error(errno, "looking at a guest's memory");
    }
    holders.push_back({{"pid", ::getpid()}, {"descriptor", memory.get()}, {"inode", status.st_ino}});
    std::ofstream(list, std::ios::trunc) << holders.dump(); // in a folder of this user's alone
    return memory;
}

} // namespace kiln::launcher
