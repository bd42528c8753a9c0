// SPDX-License-Identifier: Apache-2.0
// Internal: security groups' files.
#pragma once

#include "core/files.h"
#include "launcher/vpc/security_group.h"

namespace kiln::launcher
{

[[nodiscard]] bool is_protocol(std::string_view text) noexcept;

// Whoever changes a group, or relies on one being there, holds it: that of launches.
class GroupLock
{
public:
    explicit GroupLock(const Paths& paths);

private:
    FileLock lock_;
};

void save_group(const Paths& paths, const SecurityGroup& group); // durable

} // namespace kiln::launcher
