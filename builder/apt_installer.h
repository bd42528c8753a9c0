// SPDX-License-Identifier: Apache-2.0
// Packages into an existing Debian system. The host's apt resolves and downloads natively (host_apt.h); the
// appliance only unpacks and configures, without network, in the order that apt gave, and starts no service.
// Recommended packages are not installed, as in a bootstrap.
#pragma once

#include "builder/host_apt.h"
#include "builder/installed_package.h"
#include "builder/lock_file.h"
#include "builder/package_installer.h"
#include "core/progress.h"

#include <functional>
#include <optional>
#include <stop_token>

namespace kiln::builder
{

class AptInstaller : public PackageInstaller
{
public:
    // `cache` keeps indexes and .deb files for all builds, `work` is the build's own folder.
    AptInstaller(std::filesystem::path cache, std::filesystem::path work, Progress& progress, std::stop_token stop);

    // The next install() installs these very packages, or throws Error{package}; nullopt: what the archive has.
    void lock_to(std::optional<LockFile::Layer> locked) { locked_ = std::move(locked); }

    void install(Appliance& appliance, const recipes::PackagesStep& step, const std::filesystem::path& log) override;
    void add_source(Appliance& appliance, const recipes::AptSourceStep& step) override;

    // What the last install() put in, with the digests of the very files.
    [[nodiscard]] const std::vector<InstalledPackage>& installed() const { return installed_; }

private:
    void carry_out(Appliance& appliance, const AptTransaction& transaction, const recipes::PackagesStep& step,
                   const std::filesystem::path& files, const std::filesystem::path& log);

    std::filesystem::path cache_;
    std::filesystem::path work_;
    Progress& progress_;
    std::stop_token stop_;
    std::optional<LockFile::Layer> locked_;
    std::vector<InstalledPackage> installed_;
};

// Pure, for their tests.
// What `apt-get install` is asked for; throws Error{package} for what is no package's name.
[[nodiscard]] std::vector<std::string> apt_arguments(const recipes::PackagesStep& step);
// The script that carries the transaction out in the guest; the files are N.deb, as numbered by `downloads`.
[[nodiscard]] std::string dpkg_script(const AptTransaction& transaction, const std::vector<std::string>& hold);
// apt's extended_states after it: what came in as a dependency is marked automatic, what was asked for is not.
[[nodiscard]] std::string mark_automatic(std::string_view extended_states, const AptTransaction& transaction,
                                         const std::vector<std::string>& asked_for, std::string_view architecture);

} // namespace kiln::builder
