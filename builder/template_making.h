// SPDX-License-Identifier: Apache-2.0
// Makes the warm appliance (see warm_template.h) beside other work, where there is none yet. In a process of its own:
// libguestfs then shares no memory, descriptor or child with what goes on here.
#pragma once

#include "core/accelerator.h"
#include "core/background_process.h"

#include <filesystem>
#include <stop_token>

namespace kiln::builder
{

struct TemplateOrder {
    Accelerator accelerator = Accelerator::tcg;
    bool network = false;
    std::filesystem::path cache{}; // as in ensure_template()
    std::filesystem::path work{};
};

class TemplateMaking
{
public:
    // Starts `kiln make-appliance`; `kiln` is this program's path. Throws Error{io}.
    TemplateMaking(const std::filesystem::path& kiln, const TemplateOrder& order, std::stop_token stop);
    // Waits for it, or ends it when an exception is on its way or `stop` is requested. It says nothing of a failure:
    // the launch of an appliance that follows does.
    ~TemplateMaking();
    TemplateMaking(const TemplateMaking&) = delete;
    TemplateMaking& operator=(const TemplateMaking&) = delete;

private:
    int exceptions_;
    std::stop_token stop_;
    BackgroundProcess process_;
};

// What `kiln make-appliance` does. Throws what ensure_template() throws.
void make_template_for(const TemplateOrder& order, const std::stop_token& stop);

} // namespace kiln::builder
