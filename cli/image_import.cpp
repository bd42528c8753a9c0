// SPDX-License-Identifier: Apache-2.0
// kiln image import FILE
#include "cli/context.h"
#include "cli/publish.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/progress.h"
#include "core/text.h"
#include "core/transfer_meter.h"
#include "registry/bundle_transfer.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

struct ImportOptions {
    std::string file;
    bool quiet = false;
};

FileDescriptor open_bundle(const std::string& file)
{
    FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {
    };
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        throw system_error(errno, fmt::format("opening {}", printable(file, false)));
    }
    if (S_ISDIR(status.st_mode)) {
        throw Error(ErrorKind::usage, fmt::format("{} is a folder", printable(file, false)),
                    "name the .ami file that `kiln image export` wrote, or - for standard input");
    }
    return fd;
}

void import_image(const Context& context, const ImportOptions& options)
{
    const bool from_pipe = options.file == "-";
    if (from_pipe && ::isatty(STDIN_FILENO) == 1) {
        throw Error(ErrorKind::usage, "the bundle does not come from a terminal", "send it through a pipe");
    }
    const FileDescriptor file = from_pipe ? FileDescriptor() : open_bundle(options.file);
    const auto region = context.open_region();
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key();
    const std::string name = from_pipe ? "standard input" : printable(options.file, false);
    Progress progress(options.quiet);
    progress.stage(fmt::format("import {}", name));
    TransferMeter meter(progress);
    try {
        const registry::Image image = region->import_image(
            from_pipe ? STDIN_FILENO : file.get(), context.trust(), {.account = account.id, .key = key},
            {.transferred = [&](ByteSize done, ByteSize total) { meter.show(done, total); }, .stop = context.stop});
        progress.finish();
        print_result(context, to_json(image, context.region),
                     options.quiet ? image.id + "\n"
                                   : fmt::format("{}  {} {}  owned by account {}\n", image.id, image.name,
                                                 image.version.to_string(), image.owner));
    } catch (Error& error) {
        error.while_doing(fmt::format("importing {}", name));
        throw;
    }
}

} // namespace

void add_image_import(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("import", "Take an AMI from a file that `image export` wrote");
    auto options = std::make_shared<ImportOptions>();
    command->add_option("file", options->file, "The .ami file, or - for standard input")->required()->type_name("FILE");
    command->add_flag("-q,--quiet", options->quiet, "Print just the image's id");
    on_run_in_region(*command, context, [&context, options] { import_image(context, *options); });
}

} // namespace kiln::cli
