// SPDX-License-Identifier: Apache-2.0
#include "builder/rootfs.h"

#include "builder/debian_bootstrap.h"
#include "builder/disk_layout.h"
#include "builder/oci_rootfs.h"
#include "builder/storage.h"
#include "core/error.h"
#include "core/files.h"
#include "core/private_copy.h"
#include "core/safe_tar.h"
#include "core/text.h"

#include <fmt/format.h>

namespace kiln::builder
{
namespace fs = std::filesystem;

void write_rootfs_tar(const recipes::RootfsBase& base, const fs::path& tar, const std::stop_token& stop)
{
    if (base.format == "oci") {
        write_oci_tar(base.file, base.sha256, tar, stop);
        return;
    }
    if (base.format != "tar") {
        throw Error(ErrorKind::recipe, fmt::format("\"{}\" is no format of a rootfs", printable(base.format, false)),
                    "Kiln reads tar and oci");
    }
    const WorkFolder work(tar.parent_path(), "rootfs");
    const fs::path copy = work.path() / base.file.filename();
    make_private_copy(base.file, copy, base.sha256, stop);
    write_safe_tar(copy, tar, {.whole_system = true});
}

std::vector<InstalledPackage> fill_root(Appliance& appliance, const recipes::Recipe& recipe,
                                        const std::optional<LockFile::Layer>& locked, const fs::path& work,
                                        Progress& progress, const std::stop_token& stop)
{
    std::vector<InstalledPackage> installed;
    const WorkFolder folder(work, "root");
    const fs::path tar = folder.path() / "root.tar";
    if (const auto* rootfs = std::get_if<recipes::RootfsBase>(&recipe.base)) {
        progress.detail("checking every member of the root file system");
        write_rootfs_tar(*rootfs, tar, stop);
    } else {
        installed = bootstrap_debian_tar(recipe, locked, tar, progress, stop);
    }
    create_root(appliance, recipe, {.first_disk = 0, .root_is_filled = false});
    appliance.mount(filesystem_places(recipe).front().device, "/");
    progress.detail("unpacking it");
    appliance.unpack_tar(tar, "/");
    return installed;
}

} // namespace kiln::builder
