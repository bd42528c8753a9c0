// SPDX-License-Identifier: Apache-2.0
// publish_tiny NAME VERSION [public]: publishes an AMI of one tiny hand-made disk in the region `local` of $KILN_HOME,
// signed by the home's account, for tests of the command line that need an image and no guest. The disk has 300,000
// bytes or $PUBLISH_TINY_SIZE, or is the qcow2 file $PUBLISH_TINY_DISK of 64 MiB, and then there is a second, blank one,
// and QEMU boots it without UEFI.
#include "core/error.h"
#include "core/files.h"
#include "core/paths.h"
#include "core/random.h"
#include "registry/region.h"
#include "signing/account.h"
#include "tests/support/made_qcow2.h"
#include "tests/unit/bundle/sample_manifest.h"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

namespace
{

std::size_t disk_size()
{
    const char* size = std::getenv("PUBLISH_TINY_SIZE");
    return size == nullptr ? 300'000 : std::stoul(size);
}

// By a real QEMU.
void make_bootable(kiln::bundle::Manifest& manifest)
{
    manifest.boot_mode = "bios";
    manifest.launch.minimum_memory.reset();
    manifest.launch.instance_type.reset();
    manifest.block_devices[0].size = kiln::mebibytes(64);
    manifest.block_devices.push_back({.device = "/dev/vdb", .size = kiln::mebibytes(64)});
}

} // namespace

int main(int argc, char** argv)
{
    using namespace kiln;
    try {
        if (argc != 3 && argc != 4) {
            throw Error(ErrorKind::usage, "publish_tiny NAME VERSION [public]");
        }
        const Paths paths = paths_from_environment();
        make_directories(paths.home, 0700);
        const signing::Account account = signing::ensure_account(paths);
        registry::Region region(paths.regions / "local", "local", paths.home / "seen" / "local.sqlite");
        bundle::Manifest manifest = test::sample_manifest();
        manifest.name = argv[1];
        manifest.version = parse_semantic_version(argv[2]).value();
        manifest.parent.reset();
        manifest.source = {"recipe", digest_of(argv[1]), std::nullopt, std::nullopt};
        manifest.block_devices.resize(1);
        manifest.block_devices[0].layers.clear();
        manifest.launch_public = argc == 4;
        manifest.launch.accounts.clear();
        manifest.launch.deprecated_on.reset();
        manifest.owner = account.id;
        const std::filesystem::path file = paths.home / random_hex(12);
        if (const char* disk = std::getenv("PUBLISH_TINY_DISK"); disk != nullptr) {
            make_bootable(manifest);
            std::filesystem::copy_file(disk, file);
        } else {
            write_file_durably(file, test::made_qcow2(std::string(argv[1]) + argv[2] + std::string(disk_size(), '.')));
        }
        std::cout << region
                         .publish(manifest, {{"/dev/vda", file}}, signing::load_account_key(paths, nullptr),
                                  {{std::string(bundle::sbom_artifact_type), "{}"}})
                         .id
                  << "\n";
        return 0;
    } catch (const Error& error) {
        std::cerr << error.what() << "\n";
        return exit_code(error.kind());
    } catch (const std::filesystem::filesystem_error& error) {
        std::cerr << error.what() << "\n";
        return exit_code(system_error(error.code().value(), "").kind());
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
