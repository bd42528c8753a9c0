// SPDX-License-Identifier: Apache-2.0
#include "builder/build.h"

#include "builder/appliance.h"
#include "builder/block_server.h"
#include "builder/bootloader.h"
#include "builder/debian_bootstrap.h"
#include "builder/disk_layout.h"
#include "builder/layer.h"
#include "builder/seal.h"
#include "builder/software.h"
#include "builder/steps.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/process.h"
#include "core/random.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

// libguestfs's name for the first disk that it is given.
constexpr const char* appliance_disk = "/dev/sda";
// A minimal Debian needs about 0.5 GiB unpacked: once as a tree, in the work folder or in TMPDIR, and once
// as a disk.
constexpr ByteSize needed_space = gibibytes(1);

void require_host(const BuildOptions& options)
{
    require_program("qemu-img", "qemu-utils");
    require_program("supermin", "supermin");
    if (!find_kernel()) {
        throw Error(ErrorKind::missing_tool,
                    "there is no kernel in /boot that this user can read, and libguestfs needs one",
                    "install one: apt-get install linux-image-cloud-amd64 (or make /boot/vmlinuz-* readable)");
    }
    require_free_space(options.work, needed_space, "the build");
    require_free_space(fs::temp_directory_path(), needed_space, "unpacking packages");
}

void create_sparse_file(const fs::path& path, ByteSize size)
{
    const FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size.bytes())) != 0) {
        throw system_error(errno, fmt::format("creating {}", path.native()));
    }
}

// The image's own account of itself, from the mounted root.
void read_software(Appliance& appliance, DiskSet& disks)
{
    disks.os = read_operating_system(appliance);
    disks.packages = read_packages(appliance);
}

} // namespace

DiskSet build(const recipes::Recipe& recipe, const BuildOptions& options, Progress& progress,
              const std::stop_token& stop)
{
    require_host(options);
    const fs::path raw = options.work / "root.raw";
    const std::string filesystem_uuid = random_uuid();
    DiskSet disks;

    progress.stage(fmt::format("bootstrap {} {}", recipe.base.distribution, recipe.base.suite));
    create_sparse_file(raw, recipe.root.size);
    bootstrap_debian(recipe, raw, filesystem_uuid, progress, stop);

    progress.stage("start the libguestfs appliance");
    Appliance appliance({options.accelerator, needs_network(recipe), options.work},
                        {{ApplianceDrive::Kind::raw_file, raw}}, stop);

    progress.stage("partitions and bootloader");
    partition_and_mount(appliance, appliance_disk, recipe.root.size);
    write_base_configuration(appliance, recipe.root.filesystem, filesystem_uuid);
    install_grub(appliance);

    for (const recipes::Step& step : recipe.steps) {
        throw_if_interrupted(stop);
        progress.stage(title_of(step));
        apply_step(appliance, recipe, step);
    }

    progress.stage("seal and inspect");
    seal(appliance);
    read_software(appliance, disks);
    appliance.shutdown();

    progress.stage("compress the disk");
    const fs::path layer = options.work / "root.qcow2";
    layer_from_raw(raw, layer, stop);
    fs::remove(raw);
    disks.volumes.push_back({.device = recipe.root.device,
                             .size = recipe.root.size,
                             .filesystem = recipe.root.filesystem,
                             .mount = "/",
                             .delete_on_termination = recipe.root.delete_on_termination,
                             .layer = layer});
    return disks;
}

DiskSet seal_copies(const std::vector<DiskCopy>& copies, const BuildOptions& options, Progress& progress,
                    const std::stop_token& stop)
{
    require_program("qemu-storage-daemon", "qemu-system-common");
    const DiskCopy& root = copies.at(0);
    DiskSet disks;

    progress.stage("start the libguestfs appliance");
    BlockServer server(root.layers, root.delta, options.sockets);
    {
        Appliance appliance({options.accelerator, false, options.work},
                            {{ApplianceDrive::Kind::nbd_socket, server.socket()}}, stop);
        progress.stage("seal and inspect");
        appliance.mount(std::string(appliance_disk) + "2", "/");
        seal(appliance);
        read_software(appliance, disks);
        appliance.shutdown();
    }
    server.stop();

    progress.stage("compress what changed");
    for (const DiskCopy& copy : copies) {
        const fs::path layer = options.work / fmt::format("layer{}.qcow2", disks.volumes.size());
        layer_from_delta(copy.delta, copy.size, layer, options.work, stop);
        fs::remove(copy.delta);
        disks.volumes.push_back({.device = copy.device,
                                 .size = copy.size,
                                 .filesystem = copy.filesystem,
                                 .mount = copy.mount,
                                 .delete_on_termination = copy.delete_on_termination,
                                 .layer = layer});
    }
    return disks;
}

} // namespace kiln::builder
