// SPDX-License-Identifier: Apache-2.0
// kiln test AMI: launch, run the image's own tests, terminate whatever happens.
#include "cli/context.h"
#include "cli/launch_image.h"
#include "cli/test_template.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/boot_times.h"
#include "launcher/diagnosis.h"
#include "launcher/github_annotations.h"
#include "launcher/launch.h"
#include "launcher/smoke_test.h"
#include "registry/test_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace kiln::cli
{
namespace
{

struct TestOptions {
    std::string image;
    std::string type;
    std::string junit;
    std::string artifacts;
    bool github = false;
    bool attest = false;
    unsigned boot_timeout = 0; // seconds; 0: ready_timeout()
    double boot_time = 0;      // seconds; 0: as before on this host
    unsigned boot_tolerance = 50;
    bool strict_boot_time = false;
    bool allow_unsigned = false;
    std::string verify = verify_changed;
};

// How long the boot took, against what was expected.
struct BootTime {
    double seconds = 0;
    std::optional<double> expected;
    bool slower = false;
};

struct Outcome {
    std::vector<launcher::TestResult> results;
    launcher::Diagnosis diagnosis; // where one failed
    std::optional<BootTime> boot;  // where it booted
    std::optional<std::string> template_id{};

    [[nodiscard]] std::size_t failed() const
    {
        return static_cast<std::size_t>(std::ranges::count(results, false, &launcher::TestResult::passed));
    }
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

// A guest that does not come up is a failed test, not a failure of Kiln. `word`: its own, when it is up.
launcher::TestResult boot(const Context& context, const launcher::Instance& instance, unsigned timeout,
                          std::string& word)
{
    launcher::TestResult result;
    result.name = "boots";
    const auto started = std::chrono::steady_clock::now();
    try {
        word = launcher::wait_until_ready(
            context.paths, instance, timeout != 0 ? std::chrono::seconds(timeout) : ready_timeout(context, instance),
            context.stop);
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

// Compares with what was given, else with the boots before, and remembers this one.
BootTime judge_boot(const Context& context, const launcher::Instance& instance, double seconds,
                    const TestOptions& options)
{
    launcher::BootTimes times(context.paths.cache / "boot-times.json");
    const std::string kind = fmt::format("{} {} {}", instance.image_name, instance.type, name_of(instance.accelerator));
    BootTime boot{.seconds = seconds,
                  .expected = options.boot_time > 0 ? std::optional(options.boot_time) : times.expected(kind)};
    boot.slower = boot.expected && launcher::is_slower(seconds, *boot.expected, options.boot_tolerance);
    times.add(kind, seconds);
    return boot;
}

std::string describe(const BootTime& boot, unsigned tolerance)
{
    return fmt::format("the boot took {:.1f} s; {:.1f} s are expected, and {} % more tolerated", boot.seconds,
                       boot.expected.value_or(0), tolerance);
}

Outcome run_in(const Context& context, const launcher::Instance& instance, const std::vector<bundle::Test>& tests,
               const TestOptions& options, TestTemplate& saving, Progress& progress)
{
    Outcome outcome;
    std::string word;
    progress.stage("boot");
    outcome.results = {boot(context, instance, options.boot_timeout, word)};
    if (outcome.results.front().passed) {
        outcome.boot = judge_boot(context, instance, outcome.results.front().elapsed.count(), options);
        if (outcome.boot->slower && options.strict_boot_time) {
            outcome.results.push_back(
                {.name = "boot time", .failure = describe(*outcome.boot, options.boot_tolerance)});
        }
        if (outcome.failed() == 0) { // before the tests change anything
            saving.save(instance, word, progress);
        }
        const auto more = launcher::run_tests(context.paths, instance, tests, progress, context.stop);
        outcome.results.insert(outcome.results.end(), more.begin(), more.end());
    }
    if (outcome.failed() != 0) {
        progress.stage("look for what failed in the guest");
        outcome.diagnosis = launcher::diagnose(context.paths, instance, context.stop);
        if (!options.artifacts.empty()) {
            launcher::save_diagnosis(outcome.diagnosis, launcher::InstancePaths(context.paths, instance.id),
                                     options.artifacts);
        }
    }
    return outcome;
}

// Between its making and its end GitHub takes nothing that is printed for a command: a guest could give some.
class QuietGithub
{
public:
    explicit QuietGithub(bool used) : token_(used ? random_hex(32) : "")
    {
        if (used) {
            fmt::print(stderr, "{}", launcher::github_stop_commands(token_));
        }
    }
    QuietGithub(const QuietGithub&) = delete;
    QuietGithub& operator=(const QuietGithub&) = delete;
    ~QuietGithub()
    {
        if (!token_.empty()) {
            static_cast<void>(std::fflush(stdout));
            fmt::print(stderr, "{}", launcher::github_resume_commands(token_));
        }
    }

private:
    std::string token_;
};

void annotate(const Outcome& outcome, const std::string& title, unsigned tolerance)
{
    for (const launcher::TestResult& result : outcome.results) {
        if (!result.passed) {
            fmt::print(stderr, "{}",
                       launcher::github_annotation(launcher::AnnotationLevel::error,
                                                   fmt::format("{}: {}", title, result.name), result.failure));
        }
    }
    if (outcome.boot && outcome.boot->slower) {
        fmt::print(stderr, "{}",
                   launcher::github_annotation(launcher::AnnotationLevel::warning, title + ": slower boot",
                                               describe(*outcome.boot, tolerance)));
    }
}

void attest(const Context& context, const registry::Region& region, const registry::Image& image,
            const launcher::Instance& instance, const Outcome& outcome)
{
    registry::TestRun run{.finished = iso_now()};
    for (const launcher::TestResult& result : outcome.results) {
        (result.passed ? run.passed : run.failed).push_back(printable(result.name, false));
    }
    run.environment = {{"instance_type", instance.type}, {"accelerator", name_of(instance.accelerator)}};
    if (outcome.boot) {
        run.environment["boot_seconds"] = outcome.boot->seconds;
    }
    registry::attach_test_run(region, image, run, context.account_key());
}

void require_owner(const Context& context, const registry::Image& image)
{
    const std::string account = signing::ensure_account(context.paths).id;
    if (account != image.owner) {
        throw Error(ErrorKind::permission_denied,
                    fmt::format("--attest is for the owner of {}, account {}, and this is {}", image.name, image.owner,
                                account),
                    "without --attest the tests run all the same");
    }
}

void print_outcome(const Context& context, const registry::Image& image, const Outcome& outcome,
                   const TestOptions& options)
{
    const bool slower = outcome.boot && outcome.boot->slower;
    const std::string diagnosis = outcome.failed() != 0 ? outcome.diagnosis.text() : std::string();
    Json boot;
    if (outcome.boot) {
        boot = {{"seconds", outcome.boot->seconds},
                {"expected_seconds", outcome.boot->expected ? Json(*outcome.boot->expected) : Json()},
                {"tolerance_percent", options.boot_tolerance},
                {"slower", slower}};
    }
    print_result(
        context,
        {{"image_id", image.id},
         {"failed", outcome.failed()},
         {"tests", to_json(outcome.results)},
         {"boot", boot},
         {"attested", options.attest},
         {"template_id", outcome.template_id ? Json(*outcome.template_id) : Json()},
         {"guest_output", diagnosis.empty() ? Json() : Json(diagnosis)}},
        to_text(outcome.results) + (slower ? "slow  " + describe(*outcome.boot, options.boot_tolerance) + "\n" : "") +
            (outcome.template_id ? fmt::format("warm  the template {}\n", *outcome.template_id) : "") + diagnosis +
            fmt::format("{} {}: {} passed, {} failed\n", image.id, image.name,
                        outcome.results.size() - outcome.failed(), outcome.failed()));
}

void test(Context& context, const TestOptions& options)
{
    Progress progress;
    const auto region = context.open_region();
    const auto image = region->resolve(options.image, context.trust());
    if (options.attest) {
        require_owner(context, image);
    }
    const bundle::Manifest manifest = region->load_manifest(image);
    TestTemplate saving(context, *region, image, manifest.launch.warm);
    TestInstance instance(context.paths,
                          launch_image(context, image.id,
                                       {.type = options.type.empty() ? std::nullopt : std::optional(options.type),
                                        .keep_volumes = false,
                                        .allow_unsigned = options.allow_unsigned,
                                        .untested = true,
                                        .verify = options.verify,
                                        .cold = true, // it is a test of its boot
                                        .template_folder = saving.folder()},
                                       progress)
                              .at(0));
    const std::string title = fmt::format("{}@{}", image.name, image.version.to_string());
    Outcome outcome;
    {
        const QuietGithub quiet(options.github);
        outcome = run_in(context, instance.get(), manifest.tests, options, saving, progress);
        progress.stage("terminate");
        instance.terminate();
        if (outcome.failed() == 0) {
            outcome.template_id = saving.finish(progress);
        }
        progress.finish();
        if (!options.junit.empty()) {
            write_file_durably(options.junit,
                               launcher::junit_xml(title, outcome.results, iso_now(),
                                                   outcome.failed() != 0 ? outcome.diagnosis.text() : ""));
        }
        if (options.attest) {
            attest(context, *region, image, instance.get(), outcome);
        }
        print_outcome(context, image, outcome, options);
    }
    if (options.github) {
        annotate(outcome, title, options.boot_tolerance);
    }
    if (outcome.failed() != 0) {
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
    command
        ->add_option("--artifacts", options->artifacts,
                     "When a test fails, put console, screen, failed units and journal there")
        ->type_name("FOLDER");
    const char* actions = std::getenv("GITHUB_ACTIONS");
    options->github = actions != nullptr && std::string_view(actions) == "true";
    command->add_flag("--github,!--no-github", options->github,
                      "Annotate failures for GitHub (default: where GITHUB_ACTIONS is true)");
    command->add_flag("--attest", options->attest,
                      "Sign the result and attach it to the AMI; for its owner (docs/trust.md)");
    command
        ->add_option("--boot-timeout", options->boot_timeout,
                     "How long the boot may take (default: 120, 600 without KVM)")
        ->check(CLI::Range(1, 86400))
        ->type_name("SECONDS");
    command
        ->add_option("--boot-time", options->boot_time,
                     "How long the boot should take (default: the median of those before on this host)")
        ->check(CLI::PositiveNumber)
        ->type_name("SECONDS");
    command->add_option("--boot-tolerance", options->boot_tolerance, "How much slower is not noted")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str()
        ->type_name("PERCENT");
    command->add_flag("--strict-boot-time", options->strict_boot_time, "A slower boot is a failed test, not a warning");
    on_run_in_region(*command, context, [&context, options] { test(context, *options); });
}

} // namespace kiln::cli
