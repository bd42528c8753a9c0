// SPDX-License-Identifier: Apache-2.0
// kiln image export AMI [-o FILE]
#include "cli/context.h"
#include "cli/verification.h"
#include "core/error.h"
#include "core/files.h"
#include "core/output_file.h"
#include "core/progress.h"
#include "core/transfer_meter.h"
#include "registry/bundle_transfer.h"
#include "registry/verified_image.h"

#include <fmt/format.h>

#include <unistd.h>

namespace kiln::cli
{
namespace
{
namespace fs = std::filesystem;

struct ExportOptions {
    std::string image;
    std::string output;
    bool quiet = false;
};

void require_pipe(const Context& context)
{
    if (::isatty(STDOUT_FILENO) == 1) {
        throw Error(ErrorKind::usage, "the bundle is not for a terminal",
                    "send it to a pipe or a file, or use -o FILE");
    }
    if (context.json) {
        throw Error(ErrorKind::usage, "the bundle and --json can't both go to standard output", "use -o FILE");
    }
}

void export_image(const Context& context, const ExportOptions& options)
{
    const bool to_pipe = options.output == "-";
    if (to_pipe) {
        require_pipe(context);
    }
    const auto region = context.open_region();
    const registry::Image image = region->resolve(options.image, context.trust());
    const fs::path file =
        options.output.empty() ? fs::path(registry::reference_name(image) + ".ami") : fs::path(options.output);
    std::optional<OutputFile> output;
    if (!to_pipe) {
        output.emplace(file); // a name that is taken is said before the long work
    }
    const signing::Account account = signing::ensure_account(context.paths);
    Progress progress(options.quiet);
    progress.stage(fmt::format("verify {} {}", image.name, image.version.to_string()));
    registry::VerificationRecord record = verification_record(context);
    const registry::VerifiedImage verified =
        registry::verify(*region, image, context.trust(), account.id,
                         {.reading = registry::Reading::changed, .record = &record}); // exporting reads all once more
    const ByteSize size = registry::exported_size(*region, verified);
    progress.stage(fmt::format("export {}", image.id));
    if (output) {
        require_free_space(file.has_parent_path() ? file.parent_path() : fs::path("."), size, "the bundle");
    }
    TransferMeter meter(progress);
    registry::export_image(
        *region, verified, output ? output->get() : STDOUT_FILENO,
        {.transferred = [&](ByteSize done, ByteSize total) { meter.show(done, total); }, .stop = context.stop});
    if (output) {
        output->commit();
    }
    progress.finish();
    if (to_pipe) {
        return;
    }
    print_result(context,
                 {{"image_id", image.id},
                  {"name", image.name},
                  {"version", image.version.to_string()},
                  {"architecture", image.architecture},
                  {"manifest", image.manifest.to_string()},
                  {"file", file.native()},
                  {"size", fs::file_size(file)}},
                 fmt::format("{}  {}\n", file.native(), to_string(ByteSize(fs::file_size(file)))));
}

} // namespace

void add_image_export(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("export", "Write an AMI, once verified, to a single file");
    auto options = std::make_shared<ExportOptions>();
    command->add_option("image", options->image, image_reference_help)->required()->type_name("AMI");
    command
        ->add_option("-o,--output", options->output,
                     "The new file (default: NAME-VERSION-ARCH.ami), or - for standard output")
        ->type_name("FILE");
    command->add_flag("-q,--quiet", options->quiet, "Don't report progress");
    on_run_in_region(*command, context, [&context, options] { export_image(context, *options); });
}

} // namespace kiln::cli
