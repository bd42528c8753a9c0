// SPDX-License-Identifier: Apache-2.0
#include "core/safe_tar.h"

#include "core/archive_io.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/text.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>

namespace kiln
{
namespace fs = std::filesystem;
namespace
{

void copy_members(int in, int out, const SafeTarOptions& options)
{
    CheckedArchive archive(in, options);
    TarFile tar(out);
    bool empty = true;
    while (const auto member = archive.next()) {
        empty = false;
        for (const std::string& folder : member->missing_folders) {
            tar.add_folder(folder, *member);
        }
        if (member->kind == MemberKind::device) {
            continue; // the running kernel makes its own
        }
        tar.add(*member);
        if (member->kind == MemberKind::file) {
            archive.copy_content(tar);
        }
    }
    if (empty) {
        throw Error(ErrorKind::untrusted, "it holds nothing");
    }
    tar.close();
}

} // namespace

void write_safe_tar(const fs::path& archive, const fs::path& tar, const SafeTarOptions& options)
{
    const std::string name = printable(archive.native(), false);
    const FileDescriptor in(::open(archive.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!in) {
        throw system_error(errno, fmt::format("opening {}", name));
    }
    FileDescriptor out(::open(tar.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out) {
        throw system_error(errno, fmt::format("creating {}", tar.native()));
    }
    try {
        copy_members(in.get(), out.get(), options);
        out.close();
    } catch (Error& error) {
        std::error_code ignored;
        fs::remove(tar, ignored);
        error.while_doing(fmt::format("the archive {} can't be unpacked", name));
        throw;
    }
}

} // namespace kiln
