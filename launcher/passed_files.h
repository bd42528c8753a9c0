// SPDX-License-Identifier: Apache-2.0
// Internal: QEMU's argv with paths -> the same with descriptors of what is opened here, so that QEMU needs no access to
// any of the instance's folders. Block nodes, the console and listening sockets are inherited, the contents of fw_cfg
// are on the command line, and sockets of frames are names in the folder that QEMU is started in. Sources: QEMU's
// manual page (7.2) for -add-fd, -chardev and -fw_cfg; its QAPI reference for NetdevDgramOptions;
// backends/hostmem-file.c for mem-path, which is opened for writing, and takes no fdset.
#pragma once

#include "core/file_descriptor.h"

#include <filesystem>
#include <string>
#include <vector>

namespace kiln::launcher
{

struct PassedArgv {
    std::vector<std::string> argv;
    std::vector<FileDescriptor> files; // QEMU is to inherit them under their numbers
    std::filesystem::path pid_file;    // which -pidfile named: for who starts QEMU to write
    std::filesystem::path folder;      // to start QEMU in; empty: any
};

// Opens, creates and binds what `argv` of qemu_argv() names. The locks that QEMU puts on a disk last until `files` are
// closed here too. `memory` is what a memory-backend-file opens in the place of its path; there is to be one then.
// Throws Error{not_found, permission_denied, io, no_space, launch}.
[[nodiscard]] PassedArgv pass_files(const std::vector<std::string>& argv, const FileDescriptor& memory = {});

} // namespace kiln::launcher
