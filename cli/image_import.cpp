// SPDX-License-Identifier: Apache-2.0
// kiln image import FILE: a bundle, or with --arch and --boot somebody else's disk image
#include "cli/context.h"
#include "cli/foreign_image.h"
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
    ForeignImage foreign; // an image of somebody else's, if it has an architecture
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

void print_imported(const Context& context, const ImportOptions& options, const registry::Image& image)
{
    print_result(context, to_json(image, context.region),
                 options.quiet ? image.id + "\n"
                               : fmt::format("{}  {} {}  owned by account {}\n", image.id, image.name,
                                             image.version.to_string(), image.owner));
}

void import_bundle(const Context& context, const ImportOptions& options)
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
        print_imported(context, options, image);
    } catch (Error& error) {
        error.while_doing(fmt::format("importing {}", name));
        throw;
    }
}

void import_image(const Context& context, ImportOptions& options)
{
    if (options.foreign.architecture.empty()) {
        if (const auto format = disk_format_of(options.file)) {
            throw Error(ErrorKind::usage,
                        fmt::format("{} has the name of a {} disk image, not of a bundle",
                                    printable(options.file, false), *format),
                        "say what machine it is for: --arch x86_64 --boot bios, or --boot uefi");
        }
        import_bundle(context, options);
        return;
    }
    options.foreign.file = options.file;
    Progress progress(options.quiet);
    const registry::Image image = import_foreign_image(context, options.foreign, progress);
    progress.finish();
    print_imported(context, options, image);
}

} // namespace

void add_image_import(CLI::App& image, Context& context)
{
    CLI::App* command = image.add_subcommand("import", "Take an AMI from a file, or make one of a disk image");
    auto options = std::make_shared<ImportOptions>();
    command
        ->add_option("file", options->file,
                     "The .ami file that `image export` wrote, or - for standard input; with --arch and --boot a disk "
                     "image of somebody else's")
        ->required()
        ->type_name("FILE");
    command->add_flag("-q,--quiet", options->quiet, "Print just the image's id");
    ForeignImage& foreign = options->foreign;
    CLI::Option* architecture = command->add_option("--arch", foreign.architecture, "Of the disk image: x86_64")
                                    ->check(CLI::IsMember({"x86_64"}))
                                    ->type_name("ARCH");
    CLI::Option* boot = command->add_option("--boot", foreign.boot_mode, "How it boots: bios or uefi")
                            ->check(CLI::IsMember({"bios", "uefi"}))
                            ->type_name("MODE");
    architecture->needs(boot);
    boot->needs(architecture);
    const auto add = [&](const char* name, std::string& value, const char* help) {
        return command->add_option(name, value, help)->needs(architecture);
    };
    add("--format", foreign.format, "Of the disk image: qcow2, raw or vmdk (default: as FILE is called)")
        ->check(CLI::IsMember({"qcow2", "raw", "vmdk"}))
        ->type_name("FORMAT");
    add("--sha256", foreign.sha256, "What the disk image has to have")->type_name("DIGEST");
    add("--name", foreign.name, "Of the new AMI (default: FILE without its ending)")->type_name("NAME");
    add("--version", foreign.version, "Of the new AMI (default: 1.0.0)")->type_name("VERSION");
    add("--description", foreign.description, "Of the new AMI")->type_name("TEXT");
    on_run_in_region(*command, context, [&context, options] { import_image(context, *options); });
}

} // namespace kiln::cli
