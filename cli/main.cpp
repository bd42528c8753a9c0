// SPDX-License-Identifier: Apache-2.0
// The program `kiln`: parses the command line, runs one command, turns an Error into an exit status.
#include "cli/context.h"
#include "cli/help_formatter.h"
#include "cli/instance_commands.h"
#include "cli/keypair.h"
#include "cli/volume_text.h"
#include "core/error.h"
#include "core/interrupt.h"

#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <linux/close_range.h>
#include <unistd.h>

namespace
{

// CLI11's exit statuses are its own; ours for a wrong command line is `usage`.
int report_usage(const CLI::App& app, const CLI::ParseError& error)
{
    if (error.get_exit_code() == 0) {
        return app.exit(error); // --help, --version
    }
    fmt::print(stderr, "kiln: {}\n", error.what());
    const CLI::App* command = &app;
    while (!command->get_subcommands().empty()) {
        command = command->get_subcommands().front();
    }
    fmt::print(stderr, "  `{} --help` tells how to use it\n",
               command == &app                       ? "kiln"
               : command->get_display_name().empty() ? command->get_name()
                                                     : command->get_display_name());
    return kiln::exit_code(kiln::ErrorKind::usage);
}

} // namespace

int main(int argc, char** argv)
{
    using namespace kiln;
    using namespace kiln::cli;
    watch_signals();
    // What our parent left open is not for our children. mmdebstrap even fails with it: it hands descriptors'
    // numbers to sh, which takes only those of one digit.
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    Context context;
    try {
        context.paths = paths_from_environment();
        context.stop = interrupt_token();
        CLI::App app("Kiln builds signed machine images (AMIs) from recipes, runs them as QEMU\n"
                     "instances, tests them, and keeps a running instance as a new AMI.",
                     "kiln");
        app.require_subcommand(1);
        app.formatter(std::make_shared<HelpFormatter>());
        app.set_version_flag("--version", std::string("kiln ") + KILN_VERSION);
        add_doctor(app, context);
        add_build(app, context);
        add_recipe(app, context);
        add_component(app, context);
        add_image(app, context);
        add_registry(app, context);
        add_run(app, context);
        add_instance(app, context);
        add_volume(app, context);
        add_test(app, context);
        add_usage(app, context);
        add_keypair(app, context);
        add_network(app, context);
        add_security_group(app, context);
        add_key(app, context);
        add_version(app, context);
        add_make_appliance(app, context);
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return report_usage(app, error);
        }
        return context.exit_status;
    } catch (const Error& error) {
        print_error(context, error);
        return context.exit_status != 0 ? context.exit_status : exit_code(error.kind());
    } catch (const std::filesystem::filesystem_error& error) {
        const Error ours = system_error(error.code().value(), "working on " + error.path1().native());
        print_error(context, ours);
        return exit_code(ours.kind());
    } catch (const std::exception& error) {
        print_error(context, error);
        return exit_code(ErrorKind::internal);
    }
}
