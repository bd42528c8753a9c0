// SPDX-License-Identifier: Apache-2.0
// A file for the user that is there as a whole or not at all: it gets its name when everything is written, and never
// takes the name of another file. A killed process leaves nothing where the file system has files without a name
// (O_TMPFILE), else a file NAME.XXXX.tmp.
#pragma once

#include "core/file_descriptor.h"

#include <filesystem>

namespace kiln
{

class OutputFile
{
public:
    // Throws Error{conflict} when `path` exists, Error{not_found, permission_denied, io, no_space}.
    explicit OutputFile(std::filesystem::path path);
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;
    ~OutputFile();

    [[nodiscard]] int get() const noexcept { return fd_.get(); }
    // Makes it durable and gives it its name; mode 0644 without the umask's bits. Throws Error{conflict} when somebody
    // took the name meanwhile.
    void commit();

private:
    std::filesystem::path path_;
    std::filesystem::path temporary_; // empty: it has no name yet
    FileDescriptor fd_;
};

} // namespace kiln
