// SPDX-License-Identifier: Apache-2.0
// How a step is named to people.
#include "recipes/recipe.h"

#include "core/text.h"
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
    std::string operator()(const TreeStep& step) const { return "tree " + step.path; }
    std::string operator()(const ArchiveStep& step) const { return "archive " + step.path; }
    std::string operator()(const PackagesStep& step) const
    {
        const std::size_t all = step.add.size() + step.remove.size() + step.hold.size();
        return all == 0 ? "packages" : "packages " + join(step.add.empty() ? step.remove : step.add, " ");
    }
    std::string operator()(const AptSourceStep& step) const { return "apt source " + step.name; }
    std::string operator()(const GroupStep& step) const { return "group " + step.name; }
    std::string operator()(const HostnameStep& step) const { return "hostname " + step.name; }
    std::string operator()(const TimezoneStep& step) const { return "timezone " + step.zone; }
    std::string operator()(const LocaleStep& step) const { return "locale " + step.locale; }
    std::string operator()(const SysctlStep& step) const { return "sysctl " + step.values.begin()->first; }
    std::string operator()(const KernelModulesStep& /*step*/) const { return "kernel modules"; }
    std::string operator()(const CertificateAuthorityStep& step) const { return "certificate authority " + step.name; }
};

} // namespace

std::string title_of(const Step& step)
{
    return shortened(std::visit(Title{}, step.action), title_width);
}

} // namespace kiln::recipes
