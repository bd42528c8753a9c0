// SPDX-License-Identifier: Apache-2.0
#include "builder/build.h"

#include "builder/appliance.h"
#include "builder/block_server.h"
#include "builder/bootloader.h"
#include "builder/compression.h"
#include "builder/debian_bootstrap.h"
#include "builder/disk_layout.h"
#include "builder/layer_stack.h"
#include "builder/plan.h"
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

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

using Clock = std::chrono::steady_clock;

// A minimal Debian needs about 0.5 GiB unpacked: once as a tree, in the work folder or in TMPDIR, and once
// as a disk.
constexpr ByteSize needed_space = gibibytes(1);

void require_host(const BuildOptions& options)
{
    require_program("qemu-img", "qemu-utils");
    require_program("qemu-storage-daemon", "qemu-system-common");
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

std::chrono::milliseconds since(Clock::time_point begun)
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
}

// Makes the layers that are missing, in one appliance.
class Workshop
{
public:
    Workshop(const recipes::Recipe& recipe, const std::vector<PlannedLayer>& plan, LayerStack& layers,
             const BuildOptions& options, Progress& progress, const std::stop_token& stop)
        : recipe_(recipe), plan_(plan), layers_(layers), options_(options), progress_(progress), stop_(stop)
    {
    }

    void make_missing_layers()
    {
        DiskChain chain{.size = recipe_.root().size, .layers = layers_.files(), .top = next_overlay()};
        std::size_t index = layers_.size();
        if (index == 0) {
            bootstrap();
            chain.raw = raw_file();
            ++index;
        } else {
            filesystem_uuid_ = string_member(layers_.at(0).record().facts, "filesystem_uuid", "a cached layer");
        }
        progress_.stage("start the libguestfs appliance");
        BlockServer server({chain}, options_.sockets);
        Appliance appliance({options_.accelerator, network_from(index), options_.work},
                            {{server.socket(), BlockServer::export_name(0)}}, stop_);
        for (; index < plan_.size(); ++index) {
            throw_if_interrupted(stop_);
            make(plan_[index], appliance, server);
        }
        server.stop();
    }

private:
    [[nodiscard]] fs::path raw_file() const { return options_.work / "root.raw"; }
    [[nodiscard]] fs::path base_file() const { return options_.work / "base.qcow2"; }
    [[nodiscard]] fs::path next_overlay() { return options_.work / fmt::format("overlay{}.qcow2", overlays_++); }

    // Whether a layer from `index` on needs the network.
    [[nodiscard]] bool network_from(std::size_t index) const
    {
        return std::any_of(
            plan_.begin() + static_cast<std::ptrdiff_t>(index), plan_.end(), [&](const PlannedLayer& layer) {
                return layer.kind == PlannedLayer::Kind::step && needs_network(recipe_.steps[layer.step]);
            });
    }

    void bootstrap()
    {
        const auto begun = Clock::now();
        progress_.stage(plan_[0].title);
        filesystem_uuid_ = random_uuid();
        create_sparse_file(raw_file(), recipe_.root().size);
        bootstrap_debian(recipe_, raw_file(), filesystem_uuid_, progress_, stop_);
        bootstrap_took_ = since(begun);
        compression_.emplace(raw_file(), base_file(), stop_);
    }

    // The lowest layer was compressed behind what followed.
    void store_bootstrap()
    {
        const Digest digest = compression_->finish();
        layers_.add(base_file(), {{"filesystem_uuid", filesystem_uuid_}, {"digest", digest.to_string()}},
                    bootstrap_took_);
        compression_.reset();
    }

    void make(const PlannedLayer& layer, Appliance& appliance, BlockServer& server)
    {
        const auto begun = Clock::now();
        progress_.stage(layer.title);
        fs::path file;
        Json facts;
        if (layer.kind == PlannedLayer::Kind::boot) {
            write_partition_table(appliance, recipe_.root().size);
        }
        appliance.mount(std::string(root_partition_device), "/");
        switch (layer.kind) {
        case PlannedLayer::Kind::bootstrap:
            throw Error(ErrorKind::internal, "packages are not unpacked in the appliance");
        case PlannedLayer::Kind::boot:
            write_base_configuration(appliance, recipe_.root_part().filesystem.type, filesystem_uuid_);
            install_grub(appliance);
            break;
        case PlannedLayer::Kind::step:
            apply_step(appliance, recipe_, recipe_.steps[layer.step]);
            break;
        case PlannedLayer::Kind::seal:
            seal(appliance);
            facts["software"] = to_json(read_software(appliance));
            break;
        }
        if (layer.kind == PlannedLayer::Kind::seal) {
            appliance.shutdown();
            progress_.stage("compress what is over the base");
            file = options_.work / "sealed.qcow2";
            server.write_layer(0, 1, file, stop_);
            facts["digest"] = digest_of_file(file).to_string();
        } else {
            appliance.unmount_all();
            file = server.cut({next_overlay()}).at(0);
        }
        if (compression_) {
            store_bootstrap();
        }
        layers_.add(file, std::move(facts), since(begun));
    }

    const recipes::Recipe& recipe_;
    const std::vector<PlannedLayer>& plan_;
    LayerStack& layers_;
    const BuildOptions& options_;
    Progress& progress_;
    const std::stop_token& stop_;

    int overlays_ = 0;
    std::string filesystem_uuid_;
    std::chrono::milliseconds bootstrap_took_{0};
    std::optional<Compression> compression_;
};

// A cached layer as a file of the build's own, which nobody evicts.
FinishedLayer take(const CachedLayer& layer, const fs::path& file)
{
    link_or_copy(layer.disk(0), file);
    return {file, Digest::parse(string_member(layer.record().facts, "digest", "a cached layer"))};
}

DiskSet finished_disks(const recipes::Recipe& recipe, const LayerStack& layers, const fs::path& work)
{
    const CachedLayer& sealed = layers.at(layers.size() - 1);
    DiskSet disks;
    disks.software = software_from_json(member(sealed.record().facts, "software", "a cached layer"));
    disks.volumes.push_back(
        {.device = recipe.root().device,
         .size = recipe.root().size,
         .type = recipe.root().type,
         .file_systems = {{.type = recipe.root_part().filesystem.type, .mount = "/"}},
         .delete_on_termination = recipe.root().delete_on_termination,
         .layers = {take(layers.at(0), work / "layer0.qcow2"), take(sealed, work / "layer1.qcow2")}});
    return disks;
}

} // namespace

DiskSet build(const recipes::Recipe& recipe, const BuildOptions& options, Progress& progress,
              const std::stop_token& stop)
{
    const ByteSize limit = cache_limit();
    LayerCache cache(options.cache);
    const std::vector<PlannedLayer> plan = plan_layers(recipe, std::nullopt);
    LayerStack layers(cache, plan, "", options.look_up);
    layers.find(progress, stop);
    if (layers.size() > 0) {
        progress.note(fmt::format("{} of {} layers are in the cache", layers.size(), plan.size()));
    }
    if (!layers.complete()) {
        require_host(options);
        Workshop(recipe, plan, layers, options, progress, stop).make_missing_layers();
    }
    DiskSet disks = finished_disks(recipe, layers, options.work);
    cache.evict(limit);
    return disks;
}

} // namespace kiln::builder
