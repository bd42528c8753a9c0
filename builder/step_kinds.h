// SPDX-License-Identifier: Apache-2.0
// One function for each kind of step, for steps.cpp only. They throw as apply_step() does, without the place.
#pragma once

#include "builder/steps.h"

#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

// step_files.cpp
void apply(const StepContext& context, const recipes::FileStep& step);
void apply(const StepContext& context, const recipes::TreeStep& step);
void apply(const StepContext& context, const recipes::ArchiveStep& step);
// step_run.cpp
void apply(const StepContext& context, const recipes::RunStep& step);
// step_accounts.cpp
void apply(const StepContext& context, const recipes::UserStep& step);
void apply(const StepContext& context, const recipes::GroupStep& step);
// step_system.cpp
void apply(const StepContext& context, const recipes::ServiceStep& step);
void apply(const StepContext& context, const recipes::HostnameStep& step);
void apply(const StepContext& context, const recipes::TimezoneStep& step);
void apply(const StepContext& context, const recipes::LocaleStep& step);
void apply(const StepContext& context, const recipes::SysctlStep& step);
void apply(const StepContext& context, const recipes::KernelModulesStep& step);
void apply(const StepContext& context, const recipes::CertificateAuthorityStep& step);
// steps.cpp
void apply(const StepContext& context, const recipes::PackagesStep& step);
void apply(const StepContext& context, const recipes::AptSourceStep& step);

// Appends to the step's log.
void append_to_log(const StepContext& context, std::string_view text);
// Runs a program of the guest's with its output in the log.
void run_logged(const StepContext& context, const std::vector<std::string>& argv);
// Throws Error{step_failed} that says which package is missing unless `program`, an absolute path, is in the guest.
void require_in_guest(const StepContext& context, const std::string& program, std::string_view package);

} // namespace kiln::builder
