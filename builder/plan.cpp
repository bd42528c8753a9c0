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
constexpr int bootstrap_format = 3;
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

class Layers
{
public:
    explicit Layers(const std::optional<Digest>& ground) : below_(ground ? Json(ground->to_string()) : Json(nullptr)) {}

    void add(Kind kind, std::string title, int format, Json inputs)
    {
        inputs["kind"] = name_of(kind);
        inputs["format"] = format;
        const Digest id = digest_of(canonical_json({{"inputs", inputs}, {"below", below_}}));
        below_ = id.to_string();
        layers_.push_back({kind, std::move(title), std::nullopt, std::move(inputs), id});
    }
    void add_step(const recipes::Step& step)
    {
        add(Kind::step, recipes::title_of(step), step_format, {{"step", recipes::to_json(step)}});
        layers_.back().step = step;
    }
    std::vector<PlannedLayer> take() { return std::move(layers_); }

private:
    Json below_;
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
                    {"root", recipes::to_json(recipe.root())}});
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
            layers.add_step({.action = recipes::PackagesStep{.add = std::move(packages)}, .file = recipe.file});
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

} // namespace

std::vector<PlannedLayer> plan_layers(const recipes::Recipe& recipe, const std::optional<Digest>& parent)
{
    Layers layers(parent);
    std::visit(AddBase{layers, recipe}, recipe.base);
    for (const recipes::Step& step : recipe.steps) {
        layers.add_step(step);
    }
    Json validations = Json::array();
    for (const recipes::Step& validation : recipe.validations) {
        validations.push_back(recipes::to_json(validation));
    }
    layers.add(Kind::seal, "seal and inspect", seal_format,
               {{"keep", recipe.keep}, {"validations", std::move(validations)}});
    return layers.take();
}

} // namespace kiln::builder
