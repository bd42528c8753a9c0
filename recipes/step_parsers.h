// SPDX-License-Identifier: Apache-2.0
// The parsers of each kind of step: the table has the key that names the kind. What is wrong is a
// diagnostic, and the step is then not used.
#pragma once

#include "recipes/recipe.h"
#include "recipes/source_file.h"
#include "recipes/table_reader.h"

#include <optional>
#include <string>

namespace kiln::recipes
{

// parse_file_steps.cpp
[[nodiscard]] FileStep parse_file(TableReader& table, SourceFiles& sources);
[[nodiscard]] TreeStep parse_tree(TableReader& table, SourceFiles& sources);
// nullopt: without a file there is no digest.
[[nodiscard]] std::optional<ArchiveStep> parse_archive(TableReader& table, SourceFiles& sources);

// parse_run_step.cpp
[[nodiscard]] RunStep parse_run(TableReader& table, SourceFiles& sources);

// parse_package_steps.cpp
[[nodiscard]] PackagesStep parse_packages(TableReader& table);
[[nodiscard]] AptSourceStep parse_apt_source(TableReader& table, SourceFiles& sources);

// parse_account_steps.cpp
[[nodiscard]] UserStep parse_user(TableReader& table);
[[nodiscard]] GroupStep parse_group(TableReader& table);

// parse_system_steps.cpp
[[nodiscard]] ServiceStep parse_service(TableReader& table);
[[nodiscard]] HostnameStep parse_hostname(TableReader& table);
[[nodiscard]] TimezoneStep parse_timezone(TableReader& table);
[[nodiscard]] LocaleStep parse_locale(TableReader& table);
[[nodiscard]] SysctlStep parse_sysctl(TableReader& table);
[[nodiscard]] KernelModulesStep parse_kernel_modules(TableReader& table);
[[nodiscard]] CertificateAuthorityStep parse_certificate_authority(TableReader& table, SourceFiles& sources);

} // namespace kiln::recipes
