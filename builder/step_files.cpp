// SPDX-License-Identifier: Apache-2.0
// Files, trees and archives. The latter two become a checked tar on the host, which goes in as one piece.
#include "builder/guest_accounts.h"
#include "builder/step_kinds.h"
#include "builder/tree_tar.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/safe_tar.h"

#include <fmt/format.h>

#include <functional>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

// `write` makes the tar; its members go below `folder`.
void unpack(const StepContext& context, const std::string& folder, const std::function<void(const fs::path&)>& write)
{
    struct RemoveFile {
        fs::path file;
        ~RemoveFile()
        {
            std::error_code ignored;
            fs::remove(file, ignored);
        }
    };
    const RemoveFile tar{context.appliance.temporary() / "step.tar"};
    fs::remove(tar.file);
    write(tar.file);
    context.appliance.make_directories(folder);
    context.appliance.unpack_tar(tar.file, context.appliance.canonical(folder));
}

} // namespace

void apply(const StepContext& context, const recipes::FileStep& step)
{
    Appliance& appliance = context.appliance;
    const OwnerIds ids = owner_ids(appliance, step.owner, step.group);
    appliance.make_directories(fs::path(step.path).parent_path());
    appliance.write_file(step.path, step.content);
    appliance.set_owner(step.path, ids.user, ids.group);
    appliance.set_mode(step.path, step.mode); // after the owner, whose change clears set-id bits
}

void apply(const StepContext& context, const recipes::TreeStep& step)
{
    const OwnerIds ids = owner_ids(context.appliance, step.owner, step.group);
    unpack(context, step.path, [&](const fs::path& tar) { write_tree_tar(step, ids.user, ids.group, tar); });
}

void apply(const StepContext& context, const recipes::ArchiveStep& step)
{
    const OwnerIds ids = owner_ids(context.appliance, step.owner, step.group);
    if (digest_of_file(step.file) != step.sha256) {
        throw Error(ErrorKind::conflict,
                    fmt::format("{} is not the file that the recipe's sha256 names", step.file.native()));
    }
    unpack(context, step.path, [&](const fs::path& tar) {
        write_safe_tar(step.file, tar, {.strip = step.strip, .owner = ids.user, .group = ids.group});
    });
}

} // namespace kiln::builder
