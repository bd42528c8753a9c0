// SPDX-License-Identifier: Apache-2.0
// Makes regions to measure in, in $KILN_HOME (bench/registry_cases.sh):
//
//     bench_registry fill COUNT       tiny images until the region `local` has COUNT; nothing is waited for on the disk
//     bench_registry publish COUNT    COUNT more, as durable as ever; prints the seconds of each, one a line, and then
//     the
//                                     most memory that the process had, in KiB
//     bench_registry large MIB        an image with one layer of that size; prints its id and its blob
#include "core/error.h"
#include "core/files.h"
#include "core/paths.h"
#include "core/random.h"
#include "registry/region.h"
#include "signing/account.h"
#include "tests/support/made_qcow2.h"
#include "tests/unit/bundle/sample_manifest.h"

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace
{
using namespace kiln;
namespace fs = std::filesystem;

bool durable = true;

// As many images of a name as a team may have: a hundred names.
bundle::Manifest manifest_of(std::size_t number, const std::string& owner)
{
    bundle::Manifest manifest = test::sample_manifest();
    manifest.name = fmt::format("service-{}", number % 100);
    manifest.version = {1, 0, static_cast<std::uint32_t>(number / 100)};
    manifest.parent.reset();
    manifest.source = {"recipe", digest_of(manifest.name), std::nullopt, std::nullopt};
    manifest.block_devices.resize(1);
    manifest.block_devices[0].layers.clear();
    manifest.launch_public = false;
    manifest.launch = {};
    manifest.tags = {{"team", fmt::format("team-{}", number % 7)}, {"build", std::to_string(number)}};
    manifest.owner = owner;
    return manifest;
}

class Bench
{
public:
    void publish(std::size_t number)
    {
        const fs::path file = paths_.home / random_hex(12);
        std::ofstream(file, std::ios::binary) << test::made_qcow2(std::to_string(number));
        static_cast<void>(region_.publish(manifest_of(number, account_.id), {{"/dev/vda", file}}, key_,
                                          {{std::string(bundle::sbom_artifact_type), "{}"}}));
    }
    registry::Image publish_large(std::size_t mebibytes)
    {
        const fs::path file = paths_.home / random_hex(12);
        std::ofstream out(file, std::ios::binary);
        std::string block = test::made_qcow2(std::string((std::size_t{1} << 20U) - 1536, '\0'));
        for (std::size_t i = 0; i < mebibytes; ++i) {
            block.replace(2048, 16, random_hex(8)); // no block like another, so that no file system shares them
            out << block;
        }
        out.close();
        bundle::Manifest manifest = manifest_of(0, account_.id);
        manifest.name = "large-layer";
        return region_.publish(manifest, {{"/dev/vda", file}}, key_);
    }
    [[nodiscard]] const registry::Region& region() const { return region_; }

private:
    Paths paths_ = [] {
        Paths paths = paths_from_environment();
        make_directories(paths.home, 0700);
        return paths;
    }();
    signing::Account account_ = signing::ensure_account(paths_);
    signing::SecretKey key_ = signing::load_account_key(paths_, nullptr);
    registry::Region region_{paths_.regions / "local", "local", paths_.home / "seen" / "local.sqlite"};
};

void run(const std::string& what, std::size_t count)
{
    Bench bench;
    if (what == "fill") {
        durable = false;
        for (std::size_t i = bench.region().images().size(); i < count; ++i) {
            bench.publish(i);
        }
        ::sync();
    } else if (what == "publish") {
        // Numbers that nobody has, without a look at all the images, whose memory would be measured.
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        const auto known = static_cast<std::size_t>(now / std::chrono::milliseconds(1)) % 100'000'000'000;
        for (std::size_t i = 0; i < count; ++i) {
            const auto begun = std::chrono::steady_clock::now();
            bench.publish(known + i);
            fmt::print("{:.4f}\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
        }
        struct rusage usage {
        };
        ::getrusage(RUSAGE_SELF, &usage);
        fmt::print("{}\n", usage.ru_maxrss);
    } else if (what == "large") {
        const registry::Image image = bench.publish_large(count);
        const Digest layer = bench.region().load_manifest(image).block_devices[0].layers[0].digest;
        fmt::print("{} {}\n", image.id, bench.region().layout().blob_path(layer).native());
    } else {
        throw Error(ErrorKind::usage, "bench_registry fill|publish|large COUNT");
    }
}

} // namespace

// In place of the C library's, also for SQLite: to make thousands of images takes minutes else.
extern "C" int fsync(int fd)
{
    return durable ? static_cast<int>(::syscall(SYS_fsync, fd)) : 0;
}
extern "C" int fdatasync(int fd)
{
    return durable ? static_cast<int>(::syscall(SYS_fdatasync, fd)) : 0;
}

int main(int argc, char** argv)
{
    try {
        run(argc == 3 ? argv[1] : "", argc == 3 ? std::stoul(argv[2]) : 0);
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
