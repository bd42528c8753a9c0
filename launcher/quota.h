// SPDX-License-Identifier: Apache-2.0
// Limits that the user sets in KILN_HOME/quotas.json: {"instances": 20, "vcpus": 16, "memory": "32 GiB"}, each
// optional. They count what runs or is about to, as EC2's do. Without the file there are none.
#pragma once

#include "launcher/instance.h"

namespace kiln::launcher
{

// Whether `count` more with so many vCPUs and so much memory each are allowed. The caller has instances.lock, so that
// two launches don't both take what is left. Throws Error{conflict} (EC2: InstanceLimitExceeded), {io} for a broken
// file.
void require_quota(const Paths& paths, unsigned vcpus, ByteSize memory, std::size_t count);

} // namespace kiln::launcher
