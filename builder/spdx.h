// SPDX-License-Identifier: Apache-2.0
// The bill of materials of an image: SPDX 2.3 in JSON (https://spdx.github.io/spdx-spec/v2.3/). Pure: the same
// arguments give the same document.
#pragma once

#include "builder/disk_set.h"
#include "builder/installed_package.h"
#include "core/json.h"

#include <string>
#include <vector>

namespace kiln::builder
{

struct SbomSubject {
    std::string name{};         // of the image
    std::string version{};      // of the image
    std::string unique{};       // the manifest's digest, or a UUID: what tells this document from all others
    std::string created{};      // ISO 8601, UTC, whole seconds
    std::string kiln_version{}; // "0.1.0"
};

// `known` gives the digests and places of those packages that the build itself put in, or its parents did.
[[nodiscard]] Json spdx_document(const SbomSubject& subject, const Software& software,
                                 const std::vector<InstalledPackage>& known);

// pkg:deb/debian/NAME@VERSION?arch=..&distro=.. (the package-url specification), percent-encoded.
[[nodiscard]] std::string package_url(const Package& package, const OperatingSystem& os);

} // namespace kiln::builder
