// SPDX-License-Identifier: Apache-2.0
#include "builder/plan.h"

#include "builder/bootloader.h"
#include "builder/debian_bootstrap.h"
#include "builder/storage.h"

#include <fmt/format.h>

#include <array>

namespace kiln::builder
{
namespace
{

// Raised when the same inputs come to mean another content.
constexpr int bootstrap_format = 4; // with its packages on record
constexpr int rootfs_format = 1;
constexpr int disk_format = 1;
constexpr int boot_format = 2;
constexpr int step_format = 2;
constexpr int seal_format = 3;

using Kind = PlannedLayer::Kind;

std::string_view name_of(Kind kind)
{
    constexpr std::array<std::string_view, 7> names{"bootstrap", "rootfs", "disk", "boot", "storage", "step", "seal"};
    return names.at(static_cast<std::size_t>(kind));
}

// Where the files came from decides nothing.
Json locked_versions(const LockFile::Layer& layer)
{
    Json versions = Json::object();
    for (const InstalledPackage& package : layer.packages) {
        versions[fmt::format("{}:{}", package.name, package.architecture)] = {
            {"version", package.version}, {"sha256", package.sha256 ? Json(package.sha256->hex()) : Json()}};
    }
    return versions;
}

class Layers
{
public:
    Layers(const std::optional<Digest>& ground, const LockFile* lock)
        : below_(ground ? Json(ground->to_string()) : Json(nullptr)), below_without_lock_(below_), lock_(lock)
    {
    }

    // `lock_name` where it installs packages.
    void add(Kind kind, std::string title, int format, Json inputs, std::string_view lock_name = {})
    {
        inputs["kind"] = name_of(kind);
        inputs["format"] = format;
        const Digest without_lock = id_over(below_without_lock_, inputs);
        const LockFile::Layer* locked = lock_ != nullptr && !lock_name.empty() ? lock_->find(lock_name) : nullptr;
        if (locked != nullptr) {
            inputs["locked"] = locked_versions(*locked);
        }
        const Digest id = id_over(below_, inputs);
        layers_.push_back({.kind = kind,
                           .title = std::move(title),
                           .step = std::nullopt,
                           .inputs = std::move(inputs),
                           .id = id,
                           .lock_name = std::string(lock_name),
                           .locked = locked != nullptr ? std::optional(*locked) : std::nullopt,
                           .id_without_lock = id == without_lock ? std::nullopt : std::optional(without_lock)});
    }
    void add_step(const recipes::Step& step, std::string_view lock_name = {})
    {
        add(Kind::step, recipes::title_of(step), step_format, {{"step", recipes::to_json(step)}}, lock_name);
        layers_.back().step = step;
    }
    std::vector<PlannedLayer> take() { return std::move(layers_); }

private:
    static Digest id_over(Json& below, const Json& inputs)
    {
        Digest id = digest_of(canonical_json({{"inputs", inputs}, {"below", below}}));
        below = id.to_string();
        return id;
    }

    Json below_;
    Json below_without_lock_;
    const LockFile* lock_;
    std::vector<PlannedLayer> layers_;
};

Json storage_inputs(const recipes::Recipe& recipe)
{
    Json volumes = Json::array();
    for (const recipes::Volume& volume : recipe.volumes) {
        if (!volume.parts.empty()) { // one without parts is the base's, made larger
            volumes.push_back(recipes::to_json(volume));
        }
    }
    return {{"volumes", std::move(volumes)}, {"configuration", storage_configuration()}};
}

// The lowest layer, of what the recipe starts from.
struct AddBase {
    Layers& layers;
    const recipes::Recipe& recipe;

    void operator()(const recipes::BootstrapBase& base) const
    {
        // Natively only ext4 can be filled; the appliance makes the others.
        const bool native = recipe.root_part().filesystem.type == "ext4";
        layers.add(native ? Kind::bootstrap : Kind::rootfs,
                   fmt::format("bootstrap {} {}", base.distribution, base.suite), bootstrap_format,
                   {{"distribution", base.distribution},
                    {"suite", base.suite},
                    {"mirror", base.mirror},
                    {"components", base.components},
                    {"variant", base.variant},
                    {"architecture", recipe.architecture},
                    {"packages", packages_to_install(recipe)},
                    {"firmware", recipe.boot.firmware},
                    {"root", recipes::to_json(recipe.root())}},
                   lock_name_of_bootstrap);
        add_boot();
    }
    void operator()(const recipes::RootfsBase& base) const
    {
        layers.add(Kind::rootfs, "rootfs " + base.file.filename().native(), rootfs_format,
                   {{"format", base.format},
                    {"sha256", base.sha256.to_string()},
                    {"firmware", recipe.boot.firmware},
                    {"root", recipes::to_json(recipe.root())}});
        add_packages(packages_to_install(recipe));
        add_boot();
    }
    void operator()(const recipes::DiskBase& base) const
    {
        layers.add(Kind::disk, "disk " + base.file.filename().native(), disk_format,
                   {{"format", base.format}, {"sha256", base.sha256.to_string()}});
        add_packages(packages_to_add());
        add_storage();
    }
    void operator()(const recipes::AmiBase& /*base*/) const
    {
        add_packages(packages_to_add());
        add_storage();
    }

private:
    void add_boot() const
    {
        Json inputs = storage_inputs(recipe);
        inputs["boot"] = boot_configuration(recipe.boot);
        layers.add(Kind::boot, "partitions and bootloader", boot_format, std::move(inputs));
    }
    void add_storage() const
    {
        Json inputs = storage_inputs(recipe);
        if (!inputs.at("volumes").empty()) {
            layers.add(Kind::storage, "volumes", boot_format, std::move(inputs));
        }
    }
    // A bootstrap brings them itself.
    void add_packages(std::vector<std::string> packages) const
    {
        if (!packages.empty()) {
            layers.add_step({.action = recipes::PackagesStep{.add = std::move(packages)}, .file = recipe.file},
                            lock_name_of_packages);
        }
    }
    // To a system that boots.
    [[nodiscard]] std::vector<std::string> packages_to_add() const
    {
        std::vector<std::string> packages = storage_packages(recipe);
        packages.insert(packages.end(), recipe.packages.begin(), recipe.packages.end());
        return packages;
    }
};

// What is known by now of the build's own lock file: that the packages will be the locked ones is assumed.
LockFile before_the_build(const recipes::Recipe& recipe, const std::optional<Digest>& parent,
                          const std::vector<PlannedLayer>& plan)
{
    LockFile known{.inputs = locked_inputs(recipe, parent)};
    for (const PlannedLayer& layer : plan) {
        if (!layer.lock_name.empty()) {
            known.layers.push_back(layer.locked.value_or(LockFile::Layer{.step = layer.lock_name}));
        }
    }
    return known;
}

} // namespace

std::vector<PlannedLayer> plan_layers(const recipes::Recipe& recipe, const std::optional<Digest>& parent,
                                      const LockFile* lock)
{
    Layers layers(parent, lock);
    std::visit(AddBase{layers, recipe}, recipe.base);
    for (std::size_t i = 0; i < recipe.steps.size(); ++i) {
        const bool installs = std::holds_alternative<recipes::PackagesStep>(recipe.steps[i].action);
        layers.add_step(recipe.steps[i], installs ? lock_name_of_step(i) : std::string());
    }
    Json validations = Json::array();
    for (const recipes::Step& validation : recipe.validations) {
        validations.push_back(recipes::to_json(validation));
    }
    layers.add(Kind::seal, "seal and inspect", seal_format,
               {{"keep", recipe.keep}, {"validations", std::move(validations)}});
    std::vector<PlannedLayer> plan = layers.take();
    if (lock != nullptr) {
        require_same(*lock, before_the_build(recipe, parent, plan));
    }
    return plan;
}

} // namespace kiln::builder
