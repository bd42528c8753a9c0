// SPDX-License-Identifier: Apache-2.0
#include "core/host_cpu.h"

#include "core/digest.h"

#include <fstream>

namespace kiln
{

std::string host_cpu()
{
    std::ifstream cpuinfo("/proc/cpuinfo");
    std::string description;
    for (std::string line; std::getline(cpuinfo, line) && !line.empty();) {
        if (line.starts_with("model name") || line.starts_with("flags")) {
            description += line;
        }
    }
    return digest_of(description).to_string();
}

} // namespace kiln
