// SPDX-License-Identifier: Apache-2.0
// publish_tiny_image NAME VERSION: an AMI of 32 KiB in the home's region "local", public, signed by the home's account,
// for tests of the command line that launch nothing. With `kiln build` it would take a minute.
#include "core/files.h"
#include "core/paths.h"
#include "registry/region.h"
#include "signing/account.h"
#include "tests/support/made_qcow2.h"
#include "tests/unit/bundle/sample_manifest.h"

#include <cstdio>
#include <exception>
#include <string>

int main(int argc, char** argv)
{
    try {
        if (argc != 3) {
            std::fputs("usage: publish_tiny_image NAME VERSION\n", stderr);
            return 2;
        }
        const kiln::Paths paths = kiln::paths_from_environment();
        kiln::make_directories(paths.home, 0700);
        const kiln::signing::Account account = kiln::signing::ensure_account(paths);
        kiln::registry::Region region(paths.regions / "local", "local");
        kiln::bundle::Manifest manifest = kiln::test::sample_manifest();
        manifest.name = argv[1];
        manifest.version = kiln::parse_semantic_version(argv[2]).value();
        manifest.parent.reset();
        manifest.source = {"recipe", kiln::digest_of("recipe"), std::nullopt, std::nullopt};
        manifest.block_devices.resize(1);
        manifest.block_devices[0].layers.clear();
        manifest.launch_public = true;
        manifest.owner = account.id;
        const auto disk = paths.home / "disk";
        kiln::write_file_durably(disk, kiln::test::made_qcow2(std::string(argv[1]) + std::string(300'000, '.')));
        const auto image =
            region.publish(manifest, {{"/dev/vda", disk}}, kiln::signing::load_account_key(paths, nullptr),
                           {{std::string(kiln::bundle::sbom_artifact_type), "{}"}});
        std::puts(image.id.c_str());
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "publish_tiny_image: %s\n", error.what());
        return 1;
    }
}
