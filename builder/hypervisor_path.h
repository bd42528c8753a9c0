// SPDX-License-Identifier: Apache-2.0
// A path for guestfs_set_hv() that does not run into a defect of libguestfs.
#pragma once

#include <filesystem>
#include <string>

namespace kiln::builder
{

// `file`, with as many slashes before its name as keep libguestfs from writing past the end of a buffer. It puts the
// path into a shell command (generic_qmp_test() in lib/qemu.c, 117 to 124 bytes before the path, 51 behind it), whose
// buffer of 256 bytes it doubles only once it is full (add_string() in lib/command.c, 1.48 and later): what is appended
// in one piece and crosses the end is written behind it. The path goes in byte by byte, so the end has to fall into it.
[[nodiscard]] std::string hypervisor_path(const std::filesystem::path& file);

} // namespace kiln::builder
