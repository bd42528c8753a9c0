// SPDX-License-Identifier: Apache-2.0
// Two appliances restored from the same saved one differ in their random numbers and have the right time; a broken
// saved one is noticed, replaced by a stock launch, and gone. Takes about a minute without KVM.
#include "builder/appliance.h"
#include "builder/block_server.h"
#include "builder/warm_launch.h"
#include "builder/warm_template.h"
#include "core/process.h"
#include "tests/support/temporary_folder.h"

#include <gtest/gtest.h>

#include <csignal>
#include <ctime>
#include <filesystem>

namespace kiln::builder
{
namespace
{
namespace fs = std::filesystem;

std::string ask(guestfs_h* handle, std::string command)
{
    char* argv[] = {command.data(), nullptr};
    const String output(guestfs_debug(handle, "sh", argv));
    return output ? output.get() : "failed: " + last_error(handle);
}

class Clone
{
public:
    Clone(const TemplateInputs& inputs, const Template& saved, const fs::path& work)
        : handle_(make_handle(inputs.accelerator, inputs.network, work)),
          launch_({.qemu = find_program("qemu-system-x86_64").value(),
                   .folder = saved.folder,
                   .accelerator = inputs.accelerator,
                   .cpus = inputs.cpus,
                   .memory_mib = inputs.memory_mib,
                   .network = inputs.network},
                  work / "launch")
    {
        launch_.start(handle_.get());
        launch_.wake(handle_.get());
    }
    [[nodiscard]] guestfs_h* get() const { return handle_.get(); }

private:
    GuestfsHandle handle_;
    WarmLaunch launch_;
};

TEST(WarmAppliance, ClonesAreTheirOwnAndABrokenOneFallsBack)
{
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN)); // as kiln's main has it: libguestfs writes to a QEMU that died
    const kiln::test::TemporaryFolder folder;
    const fs::path cache = folder.path() / "cache";
    for (const char* name : {"a", "b"}) {
        fs::create_directory(folder.path() / name);
    }
    const TemplateInputs inputs = find_template_inputs(Accelerator::tcg, false, {});
    const Template saved = ensure_template(cache, inputs, folder.path(), {});
    {
        const Clone a(inputs, saved, folder.path() / "a"); // both at once
        const Clone b(inputs, saved, folder.path() / "b");
        const std::string random = "od -An -tx1 -N32 /dev/urandom; cat /proc/sys/kernel/random/uuid";
        const std::string of_a = ask(a.get(), random);
        EXPECT_GT(of_a.size(), 100U) << of_a;
        EXPECT_NE(of_a, ask(b.get(), random));
        EXPECT_LE(std::abs(std::stoll(ask(b.get(), "date +%s")) - std::time(nullptr)), 1);
    }
    fs::resize_file(saved.folder / "state", 1000);
    BlockServer server({{.size = mebibytes(64), .layers = {}, .top = folder.path() / "top.qcow2"}}, folder.path());
    Appliance appliance({.temporary = folder.path(), .warm = cache}, {{server.socket(), BlockServer::export_name(0)}},
                        {});
    EXPECT_FALSE(appliance.started_warm());
    EXPECT_NE(appliance.stock_reason(), "");
    EXPECT_FALSE(find_template(cache, inputs));
    appliance.make_gpt("/dev/sda");
}

} // namespace
} // namespace kiln::builder
