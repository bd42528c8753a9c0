// SPDX-License-Identifier: Apache-2.0
#include "builder/safe_tar.h"

#include "core/error.h"

namespace kiln::builder
{

void write_safe_tar(const std::filesystem::path& /*archive*/, const std::filesystem::path& /*tar*/,
                    const SafeTarOptions& /*options*/)
{
    throw Error(ErrorKind::internal, "the reader of foreign archives is not in this build");
}

} // namespace kiln::builder
