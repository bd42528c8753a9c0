// SPDX-License-Identifier: Apache-2.0
// publish_tiny NAME VERSION: publishes an AMI of one tiny hand-made disk in the region `local` of $KILN_HOME, for tests
// of the command line that need an image and no guest.
#include "core/error.h"
#include "core/files.h"
#include "core/paths.h"
#include "core/random.h"
#include "core/timestamp.h"
#include "registry/region.h"
#include "signing/account.h"
#include "tests/support/made_qcow2.h"

#include <exception>
#include <fstream>
#include <iostream>

int main(int argc, char** argv)
{
    using namespace kiln;
    try {
        if (argc != 3) {
            throw Error(ErrorKind::usage, "publish_tiny NAME VERSION");
        }
        const Paths paths = paths_from_environment();
        make_directories(paths.home, 0700);
        const signing::Account account = signing::ensure_account(paths);
        registry::Region region(paths.regions / "local", "local", paths.home / "seen" / "local.sqlite");
        const std::filesystem::path file = paths.home / random_hex(12);
        write_file_durably(file, test::made_qcow2(std::string(argv[1]) + argv[2]));
        const bundle::Manifest manifest{.name = argv[1],
                                        .version = parse_semantic_version(argv[2]).value(),
                                        .description = "A tiny disk",
                                        .architecture = "x86_64",
                                        .boot_mode = "bios",
                                        .os_distribution = "",
                                        .os_version = "",
                                        .os_name = "",
                                        .root_device = "/dev/vda",
                                        .block_devices = {{.device = "/dev/vda",
                                                           .size = ByteSize(32 << 10),
                                                           .file_systems = {{.type = "ext4", .mount = "/"}}}},
                                        .launch_public = false,
                                        .launch = {},
                                        .software = {},
                                        .parent = std::nullopt,
                                        .source = {"recipe", digest_of(argv[1]), std::nullopt, std::nullopt},
                                        .created = iso_now(),
                                        .owner = account.id,
                                        .tests = {},
                                        .tags = {}};
        std::cout << region.publish(manifest, {{"/dev/vda", file}}, signing::load_account_key(paths, nullptr)).id
                  << "\n";
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}
