// SPDX-License-Identifier: Apache-2.0
// A folder of the mounted guest that lies in the appliance's memory for as long as this object lives.
#pragma once

#include "builder/appliance.h"

#include <string>
#include <string_view>

namespace kiln::builder
{

class MemoryFolder
{
public:
    // `path` as Appliance::mount_memory() wants it.
    MemoryFolder(Appliance& appliance, std::string_view path, ByteSize limit);
    MemoryFolder(const MemoryFolder&) = delete;
    MemoryFolder& operator=(const MemoryFolder&) = delete;
    ~MemoryFolder(); // close() without its report: Appliance::unmount_all() is next to try

    [[nodiscard]] std::string file(std::string_view name) const;

    // Ends the guest's processes, which could be using it, and takes it away.
    void close();

private:
    Appliance& appliance_;
    std::string path_;
    bool closed_ = false;
};

} // namespace kiln::builder
