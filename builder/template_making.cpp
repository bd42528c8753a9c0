// SPDX-License-Identifier: Apache-2.0
#include "builder/template_making.h"

#include "builder/guestfs_handle.h"
#include "builder/warm_template.h"

#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace kiln::builder
{
namespace
{

std::vector<std::string> command_for(const std::filesystem::path& kiln, const TemplateOrder& order)
{
    std::vector<std::string> argv{kiln.native(), "make-appliance", std::string(name_of(order.accelerator)), order.cache,
                                  order.work.native()};
    if (order.network) {
        argv.emplace_back("--network");
    }
    return argv;
}

} // namespace

TemplateMaking::TemplateMaking(const std::filesystem::path& kiln, const TemplateOrder& order, std::stop_token stop)
    : exceptions_(std::uncaught_exceptions()), stop_(std::move(stop)),
      process_(command_for(kiln, order), order.work / "make-appliance.log")
{
}

TemplateMaking::~TemplateMaking()
{
    while (std::uncaught_exceptions() == exceptions_ && !stop_.stop_requested() && process_.running()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

void make_template_for(const TemplateOrder& order, const std::stop_token& stop)
{
    const std::stop_callback on_stop(stop, kill_appliance_processes);
    const TemplateInputs inputs = find_template_inputs(order.accelerator, order.network, stop);
    static_cast<void>(ensure_template(order.cache, inputs, order.work, stop));
}

} // namespace kiln::builder
