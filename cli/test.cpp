// SPDX-License-Identifier: Apache-2.0
// kiln test AMI: launch, run the image's own tests, terminate whatever happens.
#include "cli/context.h"
#include "cli/launch_image.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/diagnosis.h"
#include "launcher/launch.h"
#include "launcher/smoke_test.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::cli
{
namespace
{

struct TestOptions {
    std::string image;
    std::string type;
    std::string junit;
    bool allow_unsigned = false;
    std::string verify = verify_changed;
};

// Ends the instance when the test is over, failed or interrupted.
class TestInstance
{
public:
    TestInstance(const Paths& paths, launcher::Instance instance) : paths_(paths), instance_(std::move(instance)) {}
    TestInstance(const TestInstance&) = delete;
    TestInstance& operator=(const TestInstance&) = delete;
    ~TestInstance()
    {
        try {
            terminate();
        } catch (const std::exception& error) {
            fmt::print(stderr, "kiln: {} could not be terminated: {}\n", instance_.id, printable(error.what()));
        }
    }
    void terminate()
    {
        if (!std::exchange(terminated_, true)) {
            launcher::terminate(paths_, instance_);
        }
    }
    [[nodiscard]] const launcher::Instance& get() const { return instance_; }

private:
    const Paths& paths_;
    launcher::Instance instance_;
    bool terminated_ = false;
};

// A guest that does not come up is a failed test, not a failure of Kiln.
launcher::TestResult boot(const Context& context, const launcher::Instance& instance)
{
    launcher::TestResult result;
    result.name = "boots";
    const auto started = std::chrono::steady_clock::now();
    try {
        launcher::wait_until_ready(context.paths, instance, ready_timeout(instance), context.stop);
        result.passed = true;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::launch) {
            throw;
        }
        result.failure = error.what();
    }
    result.elapsed = std::chrono::steady_clock::now() - started;
    return result;
}

Json to_json(const std::vector<launcher::TestResult>& results)
{
    Json json = Json::array();
    for (const launcher::TestResult& result : results) {
        json.push_back({{"name", result.name},
                        {"passed", result.passed},
                        {"failure", result.passed ? Json() : Json(printable(result.failure))},
                        {"seconds", result.elapsed.count()}});
    }
    return json;
}

std::string to_text(const std::vector<launcher::TestResult>& results)
{
    std::string text;
    for (const launcher::TestResult& result : results) {
        text += fmt::format("{}  {}  ({})\n", result.passed ? "ok  " : "FAIL", printable(result.name, false),
                            human_duration(result.elapsed));
        if (!result.passed) {
            text += fmt::format("      {}\n", printable(result.failure));
        }
    }
    return text;
}

void test(Context& context, const TestOptions& options)
{
    Progress progress;
    const auto region = context.open_region();
    const auto image = region->resolve(options.image, context.trust());
    const std::vector<bundle::Test> tests = region->load_manifest(image).tests;
    TestInstance instance(context.paths,
                          launch_image(context, image.id,
                                       {.type = options.type.empty() ? std::nullopt : std::optional(options.type),
                                        .keep_volumes = false,
                                        .allow_unsigned = options.allow_unsigned,
                                        .verify = options.verify},
                                       progress)
                              .at(0));
    progress.stage("boot");
    std::vector<launcher::TestResult> results = {boot(context, instance.get())};
    if (results.front().passed) {
        const auto more = launcher::run_tests(context.paths, instance.get(), tests, progress, context.stop);
        results.insert(results.end(), more.begin(), more.end());
    }
    const auto failed = std::ranges::count(results, false, &launcher::TestResult::passed);
    std::string diagnosis;
    if (failed != 0) {
        progress.stage("look for what failed in the guest");
        diagnosis = launcher::diagnose(context.paths, instance.get(), context.stop);
    }
    progress.stage("terminate");
    instance.terminate();
    progress.finish();

    if (!options.junit.empty()) {
        write_file_durably(options.junit,
                           launcher::junit_xml(fmt::format("{}@{}", image.name, image.version.to_string()), results,
                                               iso_now(), diagnosis));
    }
    print_result(context,
                 {{"image_id", image.id},
                  {"failed", failed},
                  {"tests", to_json(results)},
                  {"guest_output", diagnosis.empty() ? Json() : Json(diagnosis)}},
                 to_text(results) + diagnosis +
                     fmt::format("{} {}: {} passed, {} failed\n", image.id, image.name,
                                 results.size() - static_cast<std::size_t>(failed), failed));
    if (failed != 0) {
        context.exit_status = exit_code(ErrorKind::test_failed);
    }
}

} // namespace

void add_test(CLI::App& app, Context& context)
{
    CLI::App* command = app.add_subcommand("test", "Launch an AMI, run its tests, terminate it");
    auto options = std::make_shared<TestOptions>();
    command->add_option("image", options->image, image_reference_help)->required()->type_name("AMI");
    command->add_option("--type", options->type, "Instance type (default: the AMI's, else t3.small)")
        ->type_name("TYPE");
    add_allow_unsigned(*command, options->allow_unsigned);
    add_verify_option(*command, options->verify);
    command->add_option("--junit", options->junit, "Write the results as JUnit XML to this file")->type_name("FILE");
    on_run_in_region(*command, context, [&context, options] { test(context, *options); });
}

} // namespace kiln::cli
