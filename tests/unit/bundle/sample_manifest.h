// SPDX-License-Identifier: Apache-2.0
// A manifest that uses every field, for the tests of bundle/ and registry/.
#pragma once

#include "bundle/manifest.h"

namespace kiln::test
{

inline bundle::Manifest sample_manifest()
{
    bundle::Manifest manifest;
    manifest.name = "debian-12-web";
    manifest.version = {1, 4, 2};
    manifest.description = "Debian 12 with nginx";
    manifest.architecture = "x86_64";
    manifest.os_distribution = "debian";
    manifest.os_version = "12";
    manifest.os_name = "Debian GNU/Linux 12 (bookworm)";
    manifest.root_device = "/dev/vda";
    const bundle::LayerReference base{digest_of("base"), mebibytes(180)};
    const bundle::LayerReference change{digest_of("change"), mebibytes(3)};
    manifest.block_devices = {{"/dev/vda", gibibytes(2), "ext4", "/", true, {base, change}},
                              {"/dev/vdb", gibibytes(8), "xfs", "/var/lib/web", false, {change}}};
    manifest.launch_public = true;
    manifest.software = {{"nginx-light", "1.22.1-9+deb12u1", "amd64"}, {"tzdata", "2024a-0+deb12u1", "all"}};
    manifest.parent = bundle::Parent{"debian-12", {1, 0, 0}, digest_of("parent")};
    manifest.source = {"instance", digest_of("recipe"), "i-0123456789abcdef0", "filesystem"};
    manifest.created = "2026-11-23T17:44:58Z";
    manifest.owner = "123456789012";
    manifest.tests = {{"nginx answers", "run", "curl -s localhost\n", 0, "hello", "", 30},
                      {"login", "console", "", 0, std::nullopt, "login: $", 120}};
    manifest.tags = {{"stage", "candidate"}, {"team", "web"}};
    return manifest;
}

} // namespace kiln::test
