// SPDX-License-Identifier: Apache-2.0
// Takes in a disk image that somebody else made (`[base] disk`). Its format is what the recipe says and is never
// probed; its header is checked here before any QEMU program opens the file.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"

#include <filesystem>
#include <stop_token>
#include <string_view>

namespace kiln::builder
{

// The size of the virtual disk. `format` is "qcow2", "raw" or "vmdk". Throws Error{untrusted} for a file that is
// in another format, names other files, or claims what it can't hold; Error{recipe} for another format word.
[[nodiscard]] ByteSize require_safe_disk(const std::filesystem::path& file, std::string_view format);

// Writes the disk as a layer: qcow2, zstd, no backing file. What is checked is what is converted: a private copy
// beside `layer`, made through one descriptor. qemu-img runs under limits of memory, time and file size and opens
// nothing but that copy. Returns the size of the virtual disk. Throws Error{untrusted} also for a file whose
// digest is not `sha256`; Error{io, no_space, not_found, interrupted}. Leaves no file behind when it throws.
ByteSize import_disk(const std::filesystem::path& file, std::string_view format, const Digest& sha256,
                     const std::filesystem::path& layer, const std::stop_token& stop);

} // namespace kiln::builder
