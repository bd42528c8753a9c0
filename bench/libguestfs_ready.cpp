// SPDX-License-Identifier: Apache-2.0
// How long until libguestfs has a disk ready: a stock launch against the warm appliance, on the same accelerator, in
// one run. bench/libguestfs_ready FOLDER [RUNS] prints a table, and with KILN_BENCH_JSON=1 one JSON object instead.
#include "builder/appliance.h"
#include "builder/block_server.h"
#include "core/accelerator.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/paths.h"
#include "core/process.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>

namespace
{
using namespace kiln;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Sample {
    double ready = 0;         // seconds to the end of the launch
    double first_command = 0; // and from there to the answer of the first command
};

// Launches an appliance with one empty disk, writes a partition table to it, and throws it away.
Sample measure(const fs::path& folder, Accelerator accelerator, const fs::path& warm)
{
    const WorkFolder work(folder, "bench-");
    const fs::path top = work.path() / "top.qcow2";
    builder::BlockServer server({{.size = mebibytes(64), .layers = {}, .top = top}}, work.path());
    const auto begun = Clock::now();
    builder::Appliance appliance({.accelerator = accelerator, .temporary = work.path(), .warm = warm},
                                 {{server.socket(), builder::BlockServer::export_name(0)}}, {});
    const auto ready = Clock::now();
    if (appliance.started_warm() == warm.empty()) {
        throw Error(ErrorKind::launch, "the warm appliance was not used: " + appliance.stock_reason());
    }
    appliance.make_gpt("/dev/sda");
    const std::chrono::duration<double> to_ready = ready - begun;
    const std::chrono::duration<double> to_answer = Clock::now() - ready;
    return {to_ready.count(), to_answer.count()};
}

Sample median(std::vector<Sample> samples)
{
    std::ranges::sort(samples, {}, &Sample::ready);
    return samples.at(samples.size() / 2);
}

void run(const fs::path& folder, int runs)
{
    const Accelerator accelerator = find_accelerator(paths_from_environment(), {}).accelerator;
    const fs::path warm = folder / "appliance";
    make_directories(folder, 0700);
    const Sample making = measure(folder, accelerator, warm);
    std::vector<Sample> stock_samples;
    std::vector<Sample> warm_samples;
    for (int i = 0; i < runs; ++i) {
        stock_samples.push_back(measure(folder, accelerator, {}));
        warm_samples.push_back(measure(folder, accelerator, warm));
    }
    const Sample stock = median(stock_samples);
    const Sample clone = median(warm_samples);
    const double ratio = stock.ready / clone.ready;
    if (std::getenv("KILN_BENCH_JSON") != nullptr) {
        fmt::print("{}\n", Json{{"case", "libguestfs ready"},
                                {"accelerator", name_of(accelerator)},
                                {"runs", runs},
                                {"first_use_s", making.ready},
                                {"stock_s", stock.ready},
                                {"stock_first_command_s", stock.first_command},
                                {"warm_s", clone.ready},
                                {"warm_first_command_s", clone.first_command},
                                {"stock_by_warm", ratio}}
                               .dump());
        return;
    }
    const auto seconds = [](double value) { return fmt::format("{:.2f} s", value); };
    fmt::print("{}",
               table({{"libguestfs ready, " + std::string(name_of(accelerator)), "ready", "first command"},
                      {"stock", seconds(stock.ready), seconds(stock.first_command)},
                      {"warm, first use (makes the template)", seconds(making.ready), seconds(making.first_command)},
                      {"warm", seconds(clone.ready), seconds(clone.first_command)},
                      {"stock / warm", fmt::format("{:.1f}", ratio), ""}}));
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 2) {
        fmt::print(stderr, "usage: libguestfs_ready FOLDER [RUNS]\n");
        return 2;
    }
    try {
        run(fs::absolute(argv[1]), argc > 2 ? std::max(1, std::atoi(argv[2])) : 3);
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "libguestfs_ready: {}\n", error.what());
        return 1;
    }
}
