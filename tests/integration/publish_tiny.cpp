// SPDX-License-Identifier: Apache-2.0
// publish_tiny NAME VERSION [public]: publishes an AMI of one tiny hand-made disk in the region `local` of $KILN_HOME,
// signed by the home's account, for tests of the command line that need an image and no guest. The disk has 300,000
// bytes or $PUBLISH_TINY_SIZE, or is the chain of the qcow2 files in $PUBLISH_TINY_LAYERS (bottom first, ":" between
// two), which QEMU boots without UEFI. $PUBLISH_TINY_BLANK is the size in bytes of a second, blank disk.
#include "core/error.h"
#include "core/files.h"
#include "core/paths.h"
#include "core/qcow2_header.h"
#include "core/random.h"
#include "registry/region.h"
#include "signing/account.h"
#include "tests/support/made_qcow2.h"
#include "tests/unit/bundle/sample_manifest.h"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace
{

std::size_t disk_size()
{
    const char* size = std::getenv("PUBLISH_TINY_SIZE");
    return size == nullptr ? 300'000 : std::stoul(size);
}

// Copies, as publishing moves them.
std::vector<kiln::registry::NewLayer> layers_of(const kiln::Paths& paths, const std::string& name)
{
    const char* list = std::getenv("PUBLISH_TINY_LAYERS");
    std::vector<kiln::registry::NewLayer> layers;
    const auto add = [&](const std::string& content) {
        layers.push_back({"/dev/vda", paths.home / kiln::random_hex(12)});
        kiln::write_file_durably(layers.back().file, content);
    };
    if (list == nullptr) {
        add(kiln::test::made_qcow2(name + std::string(disk_size(), '.')));
        return layers;
    }
    std::istringstream files(list);
    for (std::string file; std::getline(files, file, ':');) {
        add(kiln::read_file(file));
    }
    return layers;
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
        const auto layers = layers_of(paths, std::string(argv[1]) + argv[2]);
        if (std::getenv("PUBLISH_TINY_LAYERS") != nullptr) { // a real one
            const std::string lowest = read_file(layers.front().file);
            manifest.boot_mode = "bios";
            manifest.block_devices[0].size =
                require_safe_qcow2(lowest.substr(0, qcow2_header_bytes), ByteSize(lowest.size())).virtual_size;
        }
        if (const char* blank = std::getenv("PUBLISH_TINY_BLANK"); blank != nullptr && *blank != '\0') {
            manifest.block_devices.push_back({.device = "/dev/vdb", .size = ByteSize(std::stoull(blank))});
        }
        std::cout << region
                         .publish(manifest, layers, signing::load_account_key(paths, nullptr),
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
