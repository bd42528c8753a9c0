// SPDX-License-Identifier: Apache-2.0
// How a step is named to people.
#include "recipes/recipe.h"

#include "recipes/field_rules.h"

namespace kiln::recipes
{
namespace
{

constexpr std::size_t title_width = 60;

struct Title {
    std::string operator()(const FileStep& step) const { return "file " + step.path; }
    std::string operator()(const RunStep& step) const { return "run " + step.script; }
    std::string operator()(const UserStep& step) const { return "user " + step.name; }
    std::string operator()(const ServiceStep& step) const { return "service " + step.name; }
};

} // namespace

std::string title_of(const Step& step)
{
    return shortened(std::visit(Title{}, step.action), title_width);
}

} // namespace kiln::recipes
