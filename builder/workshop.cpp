// SPDX-License-Identifier: Apache-2.0
#include "builder/workshop.h"

#include "builder/bootloader.h"
#include "builder/chain.h"
#include "builder/debian_bootstrap.h"
#include "builder/disk_layout.h"
#include "builder/foreign_disk.h"
#include "builder/found_system.h"
#include "builder/guest_machine.h"
#include "builder/rootfs.h"
#include "builder/seal.h"
#include "builder/software.h"
#include "builder/steps.h"
#include "builder/storage.h"
#include "builder/template_making.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/interrupt.h"
#include "core/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

using Clock = std::chrono::steady_clock;
using Kind = PlannedLayer::Kind;

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

std::set<std::string> secrets_of_all(const recipes::Recipe& recipe)
{
    std::set<std::string> names = secrets_of(recipe.steps);
    names.merge(secrets_of(recipe.validations));
    return names;
}

// Kinds that are made without the appliance.
bool is_native(Kind kind)
{
    return kind == Kind::bootstrap || kind == Kind::disk;
}

} // namespace

std::size_t layers_below(const std::vector<PlannedLayer>& plan, const BuildOptions& options, std::size_t disk)
{
    if (options.parent) {
        return disk < options.parent->volumes.size() ? kept_below(options.parent->volumes[disk].layers.size()) : 0;
    }
    return disk == 0 && is_native(plan.front().kind) ? 1 : 0;
}

Workshop::Workshop(const recipes::Recipe& recipe, const std::vector<PlannedLayer>& plan, LayerStack& layers,
                   const BuildOptions& options, Progress& progress, const std::stop_token& stop)
    : recipe_(recipe), secrets_(recipe.secrets, secrets_of_all(recipe)), plan_(plan), layers_(layers),
      options_(options), progress_(progress), stop_(stop),
      installer_(options.cache / "apt", options.work, progress, stop)
{
}

void Workshop::make_missing_layers()
{
    std::size_t index = layers_.size();
    if (index == 0 && is_native(plan_.front().kind)) {
        plan_.front().kind == Kind::disk ? import() : bootstrap();
        ++index;
    }
    const std::vector<DiskChain> disks = chains();
    disks_ = disks.size();
    progress_.stage("start the libguestfs appliance");
    const fs::path transfer = options_.work / "transfer.raw";
    create_sparse_file(transfer, transfer_drive_size);
    BlockServer server(disks, options_.sockets, transfer);
    std::vector<ApplianceDrive> drives;
    for (std::size_t i = 0; i < disks_; ++i) {
        drives.push_back({server.socket(), BlockServer::export_name(i)});
    }
    drives.push_back({server.socket(), BlockServer::transfer_export_name()});
    Appliance appliance({.accelerator = options_.accelerator,
                         .network = network_from(index),
                         .temporary = options_.work,
                         .transfer = transfer,
                         .warm = options_.cache / "appliance"},
                        drives, stop_);
    if (!appliance.started_warm()) {
        progress_.note("the appliance was launched the stock way: " + appliance.stock_reason());
    }
    for (; index < plan_.size(); ++index) {
        throw_if_interrupted(stop_);
        make(index, appliance, server);
    }
    server.stop();
    // Before anybody waits for the disk: what is removed need not be written any more.
    fs::remove(transfer);
    if (raw_) {
        fs::remove(*raw_);
    }
}

std::size_t Workshop::first_own_disk() const
{
    return options_.parent ? options_.parent->volumes.size() : plan_.front().kind == Kind::disk ? 1 : 0;
}

std::vector<DiskChain> Workshop::chains()
{
    const std::size_t own = first_own_disk();
    std::vector<DiskChain> chains(own + recipe_.volumes.size());
    for (std::size_t i = 0; i < chains.size(); ++i) {
        DiskChain& chain = chains[i];
        if (options_.parent && i < own) {
            chain.size = options_.parent->volumes[i].size;
            chain.layers = options_.parent->volumes[i].layers;
        } else if (i < own) {
            chain.size = imported_size(layers_.at(0).record());
        } else {
            chain.size = recipe_.volumes[i - own].size;
        }
        const std::vector<fs::path> cached = layers_.files(i);
        chain.layers.insert(chain.layers.end(), cached.begin(), cached.end());
    }
    chains.front().raw = raw_;
    const std::vector<fs::path> tops = next_overlays();
    for (std::size_t i = 0; i < chains.size(); ++i) {
        chains[i].top = tops.at(i);
    }
    return chains;
}

std::vector<fs::path> Workshop::next_overlays()
{
    std::vector<fs::path> overlays;
    for (std::size_t i = 0; i < first_own_disk() + recipe_.volumes.size(); ++i) {
        overlays.push_back(options_.work / fmt::format("disk{}-overlay{}.qcow2", i, overlays_));
    }
    ++overlays_;
    return overlays;
}

bool Workshop::network_from(std::size_t index) const
{
    return std::any_of(plan_.begin() + static_cast<std::ptrdiff_t>(index), plan_.end(),
                       [](const PlannedLayer& layer) { return layer.step && needs_network(*layer.step); });
}

void Workshop::bootstrap()
{
    const auto begun = Clock::now();
    progress_.stage(plan_.front().title);
    raw_ = options_.work / "root.raw";
    create_sparse_file(*raw_, recipe_.root().size);
    const TemplateMaking beside(options_.kiln,
                                {.accelerator = options_.accelerator,
                                 .network = network_from(0),
                                 .cache = options_.cache / "appliance",
                                 .work = options_.work},
                                stop_);
    base_packages_ = bootstrap_debian(recipe_, plan_.front().locked, *raw_, random_uuid(), progress_, stop_);
    base_took_ = since(begun);
    // Compressed beside what follows, which only reads it.
    compression_.emplace(*raw_, options_.work / "base.qcow2", stop_);
}

void Workshop::import()
{
    const auto begun = Clock::now();
    progress_.stage(plan_.front().title);
    const auto& base = std::get<recipes::DiskBase>(recipe_.base);
    const fs::path layer = options_.work / "base.qcow2";
    const ByteSize size = import_disk(base.file, base.format, base.sha256, layer, stop_);
    layers_.add({layer}, {{"size", size.bytes()}, {"digests", Json::array({digest_of_file(layer).to_string()})}},
                since(begun));
}

void Workshop::store_base()
{
    const Digest digest = compression_->finish();
    layers_.add({options_.work / "base.qcow2"},
                {{"digests", Json::array({digest.to_string()})}, {"packages", to_json(base_packages_)}}, base_took_);
    compression_.reset();
}

// Looked for once, as that takes seconds for each file system: what the base has stays where it is.
const std::vector<Mountpoint>& Workshop::base_system(Appliance& appliance)
{
    if (!base_system_) {
        base_system_ = find_whole_system(appliance);
    }
    return *base_system_;
}

void Workshop::mount(std::size_t index, Appliance& appliance)
{
    const auto comes_later = [&](Kind kind) {
        return std::any_of(plan_.begin() + static_cast<std::ptrdiff_t>(index) + 1, plan_.end(),
                           [&](const PlannedLayer& layer) { return layer.kind == kind; });
    };
    if (first_own_disk() > 0) {
        mount_found_system(appliance, base_system(appliance), comes_later(Kind::storage) ? nullptr : &recipe_,
                           first_own_disk());
        if (plan_.front().kind == Kind::disk) {
            require_machine(appliance, recipe_.architecture);
        }
    } else if (comes_later(Kind::boot)) {
        appliance.mount(filesystem_places(recipe_).front().device, "/"); // there is nothing else yet
    } else {
        mount_storage(appliance, recipe_);
    }
}

void Workshop::carry_out(std::size_t index, Appliance& appliance)
{
    const PlannedLayer& layer = plan_[index];
    const StorageSite site{.first_disk = first_own_disk(), .root_is_filled = raw_.has_value() || index > 0};
    switch (layer.kind) {
    case Kind::rootfs:
        installed_ = fill_root(appliance, recipe_, layer.locked, options_.work, progress_, stop_);
        break;
    case Kind::boot:
        make_bootable(appliance, site);
        break;
    case Kind::storage:
        mount_found_system(appliance, base_system(appliance), nullptr, 0);
        create_data(appliance, recipe_, site);
        break;
    case Kind::step:
        mount(index, appliance);
        installer_.lock_to(layer.locked);
        apply(*layer.step, options_.logs / fmt::format("{:02}.log", index + 1), appliance);
        installed_ = installer_.installed();
        break;
    case Kind::bootstrap:
    case Kind::disk:
    case Kind::seal:
        throw Error(ErrorKind::internal, "this layer is made elsewhere");
    }
}

// A bootstrap has only filled the place of the root so far.
void Workshop::make_bootable(Appliance& appliance, const StorageSite& site)
{
    const bool partitioned = plan_.front().kind == Kind::rootfs;
    if (!partitioned) {
        create_root(appliance, recipe_, site);
    }
    appliance.mount(filesystem_places(recipe_).front().device, "/");
    create_data(appliance, recipe_, site);
    appliance.unmount_all();
    mount_storage(appliance, recipe_);
    write_base_configuration(appliance);
    if (partitioned) {
        remember_grub_disk(appliance, recipe_.boot);
    }
    install_grub(appliance, recipe_.boot);
}

void Workshop::make(std::size_t index, Appliance& appliance, BlockServer& server)
{
    const auto begun = Clock::now();
    progress_.stage(plan_[index].title);
    if (plan_[index].kind == Kind::seal) {
        finish(appliance, server, begun);
        return;
    }
    carry_out(index, appliance);
    appliance.unmount_all();
    const std::vector<fs::path> files = server.cut(next_overlays());
    if (compression_) {
        store_base();
    }
    Json facts = Json::object();
    if (!plan_[index].lock_name.empty()) {
        facts["packages"] = to_json(installed_);
    }
    layers_.add(files, std::move(facts), since(begun));
}

Json Workshop::seal_system(Appliance& appliance)
{
    mount(plan_.size() - 1, appliance);
    seal(appliance, recipe_.keep);
    for (const FilesystemPlace& place : filesystem_places(recipe_, first_own_disk())) {
        const recipes::Filesystem& filesystem = place.filesystem;
        if (filesystem.mount != "/" && !filesystem.mount.empty() && filesystem.type != "vfat") {
            appliance.trim(filesystem.mount);
        }
    }
    Json facts;
    facts["software"] = to_json(read_software(appliance));
    if (plan_.front().kind == Kind::disk) {
        facts["root_filesystem"] = appliance.filesystem_type(base_system(appliance).front().device);
    }
    appliance.unmount_all();
    return facts;
}

void Workshop::finish(Appliance& appliance, BlockServer& server, Clock::time_point begun)
{
    Json facts = seal_system(appliance);
    progress_.stage("compress what is over the base");
    std::vector<fs::path> files;
    facts["digests"] = Json::array();
    facts["kept_below"] = Json::array();
    for (std::size_t i = 0; i < disks_; ++i) {
        files.push_back(options_.work / fmt::format("sealed{}.qcow2", i));
        const std::size_t kept = layers_below(plan_, options_, i);
        server.write_layer(i, kept, files.back(), stop_);
        facts["kept_below"].push_back(kept);
        facts["digests"].push_back(digest_of_file(files.back()).to_string());
    }
    validate(appliance);
    appliance.shutdown();
    if (compression_) {
        store_base();
    }
    layers_.add(files, std::move(facts), since(begun));
}

// The layer's files are written by now: what validations change goes with the build's own overlay.
void Workshop::validate(Appliance& appliance)
{
    if (recipe_.validations.empty()) {
        return;
    }
    mount(plan_.size() - 1, appliance);
    for (const recipes::Step& validation : recipe_.validations) {
        progress_.stage("validate: " + recipes::title_of(validation));
        apply(validation, options_.logs / "validations.log", appliance);
    }
}

void Workshop::apply(const recipes::Step& step, const fs::path& log, Appliance& appliance)
{
    try {
        apply_step(
            {.appliance = appliance, .recipe = recipe_, .log = log, .secrets = secrets_, .packages = &installer_},
            step);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::interrupted) {
            progress_.note("the step's log: " + log.native());
            if (options_.on_failed_step) {
                options_.on_failed_step(appliance, error);
            }
        }
        throw;
    }
}

} // namespace kiln::builder
