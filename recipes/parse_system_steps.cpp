// SPDX-License-Identifier: Apache-2.0
// Steps that set up the running system: services, names, kernel, trust.
#include "recipes/certificate_text.h"
#include "recipes/parse_parts.h"
#include "recipes/step_parsers.h"

#include <fmt/format.h>

#include <set>
#include <string_view>

namespace kiln::recipes
{

ServiceStep parse_service(TableReader& table)
{
    using State = ServiceStep::State;
    ServiceStep step;
    step.name = table.require("service", rules::unit).value_or("");
    const bool enabled = table.find_flag("enabled", true);
    const bool masked = table.find_flag("masked", false);
    step.drop_in = table.find("drop_in", rules::drop_in).value_or("");
    if (masked && enabled && table.contains("enabled")) {
        table.fail("masked", {"the unit can't be enabled and masked at once", "remove one of the two"});
    }
    step.state = masked ? State::masked : enabled ? State::enabled : State::disabled;
    return step;
}

HostnameStep parse_hostname(TableReader& table)
{
    return {.name = table.require("hostname", rules::hostname).value_or("")};
}

TimezoneStep parse_timezone(TableReader& table)
{
    return {.zone = table.require("timezone", rules::timezone).value_or("")};
}

LocaleStep parse_locale(TableReader& table)
{
    return {.locale = table.require("locale", rules::locale).value_or("")};
}

SysctlStep parse_sysctl(TableReader& table)
{
    if (table.is_empty("sysctl")) {
        table.fail("sysctl", {"is empty", R"(write it like sysctl = { "vm.swappiness" = 10 })"});
    }
    return {.values = table.find_texts("sysctl", rules::sysctl_key, rules::sysctl_value)};
}

KernelModulesStep parse_kernel_modules(TableReader& table)
{
    KernelModulesStep step;
    auto lists = table.find_table("kernel_modules");
    if (!lists) {
        return step;
    }
    step.load = lists->find_list("load", rules::kernel_module);
    step.block = lists->find_list("block", rules::kernel_module);
    if (!lists->contains("load") && !lists->contains("block")) {
        lists->fail({"has neither load nor block", R"(write it like kernel_modules = { load = ["br_netfilter"] })"});
    }
    const std::set<std::string_view> loaded(step.load.begin(), step.load.end());
    for (const std::string& module : step.block) {
        if (loaded.contains(module)) {
            lists->fail("block", {in_quotes(module) + " is to be loaded, too", "remove one of the two"});
        }
    }
    lists->finish();
    return step;
}

CertificateAuthorityStep parse_certificate_authority(TableReader& table, SourceFiles& sources)
{
    CertificateAuthorityStep step;
    step.name = table.require("certificate_authority", rules::file_name).value_or("");
    if (auto pem = require_source(table, "source", sources)) {
        if (auto problem = check_certificate(*pem)) {
            table.fail("source", std::move(*problem));
        }
        step.pem = std::move(*pem);
    }
    return step;
}

} // namespace kiln::recipes
