// SPDX-License-Identifier: Apache-2.0
// Makes the warm appliance (see warm_template.h) beside other work, where there is none yet.
#pragma once

#include "core/accelerator.h"

#include <filesystem>
#include <functional>
#include <future>
#include <stop_token>

namespace kiln::builder
{

class TemplateMaking
{
public:
    // Starts it; the arguments are ensure_template's.
    TemplateMaking(Accelerator accelerator, bool network, std::filesystem::path cache, std::filesystem::path work,
                   const std::stop_token& stop);
    // Waits for it, or ends it when an exception is on its way. It says nothing of a failure: the launch of
    // an appliance that follows does.
    ~TemplateMaking();
    TemplateMaking(const TemplateMaking&) = delete;
    TemplateMaking& operator=(const TemplateMaking&) = delete;

private:
    int exceptions_;
    std::stop_source ended_;
    std::stop_callback<std::function<void()>> on_stop_;
    std::stop_callback<std::function<void()>> on_end_;
    std::future<void> made_;
};

} // namespace kiln::builder
