// SPDX-License-Identifier: Apache-2.0
#include "builder/plan.h"

#include "builder/bootloader.h"
#include "builder/debian_bootstrap.h"

#include <fmt/format.h>

namespace kiln::builder
{
namespace
{

// Raised when the same inputs come to mean another content.
constexpr int bootstrap_format = 2;
constexpr int boot_format = 1;
constexpr int step_format = 1;
constexpr int seal_format = 1;

class Layers
{
public:
    explicit Layers(const std::optional<Digest>& ground) : below_(ground ? Json(ground->to_string()) : Json(nullptr)) {}

    void add(PlannedLayer::Kind kind, std::string title, Json inputs, std::size_t step = 0)
    {
        const Digest id = digest_of(canonical_json({{"inputs", inputs}, {"below", below_}}));
        below_ = id.to_string();
        layers_.push_back({kind, std::move(title), step, std::move(inputs), id});
    }
    std::vector<PlannedLayer> take() { return std::move(layers_); }

private:
    Json below_;
    std::vector<PlannedLayer> layers_;
};

Json bootstrap_inputs(const recipes::Recipe& recipe)
{
    const auto& base = std::get<recipes::BootstrapBase>(recipe.base);
    return {{"kind", "bootstrap"},
            {"format", bootstrap_format},
            {"distribution", base.distribution},
            {"suite", base.suite},
            {"mirror", base.mirror},
            {"components", base.components},
            {"variant", base.variant},
            {"architecture", recipe.architecture},
            {"packages", packages_to_install(recipe)},
            {"size", recipe.root().size.bytes()},
            {"filesystem", recipe.root_part().filesystem.type}};
}

std::string title_of_bootstrap(const recipes::Recipe& recipe)
{
    const auto& base = std::get<recipes::BootstrapBase>(recipe.base);
    return fmt::format("bootstrap {} {}", base.distribution, base.suite);
}

} // namespace

std::vector<PlannedLayer> plan_layers(const recipes::Recipe& recipe, const std::optional<Digest>& parent)
{
    using Kind = PlannedLayer::Kind;
    Layers layers(parent);
    if (!parent) {
        layers.add(Kind::bootstrap, title_of_bootstrap(recipe), bootstrap_inputs(recipe));
        layers.add(Kind::boot, "partitions and bootloader",
                   {{"kind", "boot"}, {"format", boot_format}, {"configuration", boot_configuration()}});
    }
    for (std::size_t i = 0; i < recipe.steps.size(); ++i) {
        layers.add(Kind::step, recipes::title_of(recipe.steps[i]),
                   {{"kind", "step"}, {"format", step_format}, {"step", recipes::to_json(recipe.steps[i])}}, i);
    }
    layers.add(Kind::seal, "seal and inspect", {{"kind", "seal"}, {"format", seal_format}});
    return layers.take();
}

} // namespace kiln::builder
