// SPDX-License-Identifier: Apache-2.0
#include "builder/warm_machine.h"
#include "builder/warm_template.h"
#include "core/error.h"
#include "core/text.h"
#include "tests/support/golden.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <set>

namespace kiln::builder
{
namespace
{

TEST(WarmMachine, SavedAndRestoredArgumentsAreAsRecorded)
{
    WarmMachine machine{.mode = WarmMachine::Mode::save,
                        .qemu = "/usr/bin/qemu-system-x86_64",
                        .folder = "/cache/a,b",
                        .network = true};
    const std::string saved = join(warm_machine_argv(machine), "\n");
    machine.mode = WarmMachine::Mode::restore;
    machine.drives = {{"/run/nbd", "disk0"}, {"/run/nbd", "disk1"}};
    test::expect_golden("builder/warm-machine-argv.txt",
                        saved + "\n\n" + join(warm_machine_argv(machine), "\n") + "\n");
}

TEST(TemplateKey, ChangesWithEachInput)
{
    TemplateInputs base;
    base.memory_mib = 1280;
    const std::vector<std::function<void(TemplateInputs&)>> changes{
        [](auto& inputs) { inputs.qemu_version = "8.0"; },
        [](auto& inputs) { inputs.qemu = "x"; },
        [](auto& inputs) { inputs.machine = "q35"; },
        [](auto& inputs) { inputs.cpu = "x"; },
        [](auto& inputs) { inputs.accelerator = Accelerator::kvm; },
        [](auto& inputs) { inputs.cpus = 1; },
        [](auto& inputs) { inputs.memory_mib = 512; },
        [](auto& inputs) { inputs.network = true; },
        [](auto& inputs) { inputs.kernel = "x"; },
        [](auto& inputs) { inputs.libguestfs_version = "x"; },
        [](auto& inputs) { inputs.parts.emplace_back("b"); },
        [](auto& inputs) { inputs.packages = "x"; },
        [](auto& inputs) { inputs.helpers = "x"; }};
    std::set<std::string> keys{template_key(base)};
    for (const auto& change : changes) {
        TemplateInputs changed = base;
        change(changed);
        keys.insert(template_key(changed));
    }
    EXPECT_EQ(keys.size(), changes.size() + 1);
    EXPECT_EQ(template_key(base), template_key(base));
}

TEST(EnsureTemplate, AFailureIsNotRepeatedForAnHour)
{
    const test::TemporaryFolder folder;
    const std::filesystem::path cache = folder.path() / "appliance";
    const auto failure = [&] {
        try {
            static_cast<void>(ensure_template(cache, {}, folder.path(), {}));
        } catch (const Error& error) {
            return std::string(error.message());
        }
        return std::string("none");
    };
    const std::string path = std::getenv("PATH");
    ::setenv("PATH", folder.path().c_str(), 1); // where there is no supermin
    const std::string first = failure();
    const std::string second = failure();
    const std::filesystem::path marker = cache / (template_key({}) + ".failed");
    std::filesystem::last_write_time(marker, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
    const std::string later = failure();
    ::setenv("PATH", path.c_str(), 1);
    EXPECT_THAT(first, testing::HasSubstr("supermin"));
    EXPECT_EQ("making a warm one failed within the last hour: " + first, second);
    EXPECT_EQ(first, later);
}

} // namespace
} // namespace kiln::builder
