// SPDX-License-Identifier: Apache-2.0
#include "builder/memory_folder.h"

#include <fmt/format.h>

#include <exception>

namespace kiln::builder
{

MemoryFolder::MemoryFolder(Appliance& appliance, std::string_view path, ByteSize limit)
    : appliance_(appliance), path_(path)
{
    appliance_.mount_memory(path_, limit);
}

MemoryFolder::~MemoryFolder()
{
    try {
        close();
    } catch (const std::exception&) { // an error is on its way already
    }
}

std::string MemoryFolder::file(std::string_view name) const
{
    return fmt::format("{}/{}", path_, name);
}

void MemoryFolder::close()
{
    if (!closed_) {
        closed_ = true;
        appliance_.end_guest_processes();
        appliance_.unmount_memory(path_);
    }
}

} // namespace kiln::builder
