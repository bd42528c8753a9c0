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
    const bundle::LayerReference base{
        digest_of("base"), mebibytes(180),
        bundle::LayerChunks{mebibytes(64), {digest_of("chunk 1"), digest_of("chunk 2"), digest_of("chunk 3")}}};
    const bundle::LayerReference change{digest_of("change"), mebibytes(3)};
    manifest.block_devices = {{.device = "/dev/vda",
                               .size = gibibytes(2),
                               .file_systems = {{"ext4", "/", ""}, {"vfat", "/boot/efi", "efi"}},
                               .layers = {base, change}},
                              {.device = "/dev/vdb",
                               .size = gibibytes(8),
                               .volume_type = "io2",
                               .encrypted = true,
                               .file_systems = {{"xfs", "/var/lib/web", "web"}, {"swap", "", "swap"}},
                               .delete_on_termination = false,
                               .layers = {change}},
                              {.device = "/dev/vdc", .size = gibibytes(1)}};
    manifest.boot_mode = "uefi";
    manifest.launch = {"t3.medium", gibibytes(1), {"210987654321", "345678901234"}, "2027-11-23"};
    manifest.launch_public = true;
    manifest.software = {{"nginx-light", "1.22.1-9+deb12u1", "amd64"}, {"tzdata", "2024a-0+deb12u1", "all"}};
    manifest.parent = bundle::Parent{"debian-12", {1, 0, 0}, digest_of("parent")};
    manifest.source = {"instance", digest_of("recipe"), "i-0123456789abcdef0", "filesystem"};
    manifest.created = "2026-11-23T17:44:58Z";
    manifest.owner = "123456789012";
    manifest.tests = {
        {.name = "nginx answers",
         .kind = "run",
         .command = "curl -s localhost\n",
         .output = "hello",
         .timeout_seconds = 30},
        {.name = "login", .kind = "console", .pattern = "login: $", .timeout_seconds = 120},
        {.name = "port 80", .kind = "port", .derived = true, .port = 80},
        {.name = "hello", .kind = "http", .status = 200, .port = 8080, .path = "/hello?x=1", .body = "^Hello"}};
    manifest.tags = {{"stage", "candidate"}, {"team", "web"}};
    return manifest;
}

} // namespace kiln::test
