// SPDX-License-Identifier: Apache-2.0
// Installs packages on an overlay of finished layers, as a `packages` step does, and prints what each part took
// and what was installed: install_packages CACHE WORK SIZE LAYER... -- PACKAGE... ("nano-" removes, "=nano" holds)
#include "builder/appliance.h"
#include "builder/apt_installer.h"
#include "builder/block_server.h"
#include "core/error.h"
#include "core/progress.h"

#include <chrono>
#include <fmt/format.h>
#include <string>

namespace
{

class Stopwatch
{
public:
    void lap(const char* what)
    {
        const auto now = std::chrono::steady_clock::now();
        fmt::print("time {} {:.2f} s\n", what, std::chrono::duration<double>(now - begun_).count());
        begun_ = now;
    }

private:
    std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

int install(const std::vector<std::string>& arguments)
{
    using namespace kiln;
    using namespace kiln::builder;
    const std::filesystem::path work = arguments.at(1);
    DiskChain chain{.size = ByteSize(std::stoull(arguments.at(2))), .top = work / "top.qcow2"};
    std::size_t i = 3;
    for (; arguments.at(i) != "--"; ++i) {
        chain.layers.emplace_back(arguments[i]);
    }
    recipes::PackagesStep step;
    for (++i; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word.starts_with('=')) {
            step.hold.push_back(word.substr(1));
        } else if (word.ends_with('-')) {
            step.remove.push_back(word.substr(0, word.size() - 1));
        } else {
            step.add.push_back(word);
        }
    }
    Progress progress;
    Stopwatch stopwatch;
    BlockServer server({chain}, work);
    Appliance appliance({Accelerator::tcg, false, work}, {{server.socket(), BlockServer::export_name(0)}}, {});
    stopwatch.lap("start");
    appliance.mount("/dev/sda2", "/");
    AptInstaller installer(arguments.at(0), work, progress, {});
    stopwatch.lap("mount");
    installer.install(appliance, step, work / "log");
    stopwatch.lap("install");
    for (const InstalledPackage& package : installer.installed()) {
        fmt::print("installed {} {} {} {} {}\n", package.name, package.version, package.architecture,
                   package.sha256.value().hex(), package.uri);
    }
    fmt::print("{}\n", appliance.run({"dpkg", "--audit"}));
    fmt::print("{}", appliance.run({"dpkg-query", "--show", "--showformat=state ${Package} ${Status} ${Version}\\n"}));
    fmt::print("policy-rc.d {}\n", appliance.exists("/usr/sbin/policy-rc.d"));
    fmt::print("left {}\n", appliance.exists("/var/tmp/.kiln-packages"));
    appliance.shutdown();
    server.stop();
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    try {
        return install({argv + 1, argv + argc});
    } catch (const kiln::Error& error) {
        fmt::print(stderr, "{}: {}\n", kiln::name_of(error.kind()), error.what());
        return kiln::exit_code(error.kind());
    }
}
