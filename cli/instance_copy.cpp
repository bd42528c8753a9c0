// SPDX-License-Identifier: Apache-2.0
// kiln instance copy: one file into a guest or out of it, like scp, through the guest agent.
#include "cli/instance_commands.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/output_file.h"
#include "core/text.h"
#include "launcher/guest_files.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

namespace fs = std::filesystem;

// INSTANCE:/PATH; nothing for a path of the host's.
struct GuestPath {
    std::string instance;
    std::string path;
};

std::optional<GuestPath> parse_guest_path(const std::string& text)
{
    const auto colon = text.find(':');
    if (colon == std::string::npos || text.find('/') < colon) {
        return std::nullopt;
    }
    GuestPath guest{text.substr(0, colon), text.substr(colon + 1)};
    if (!guest.path.starts_with('/')) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not INSTANCE:/PATH", printable(text, false)),
                    "a path in the guest begins with /; write ./FILE for a file of the host with a colon in its name");
    }
    return guest;
}

// As for scp, what ends in / is a folder that the file goes into.
std::string in_folder(const std::string& target, const std::string& source)
{
    return target.ends_with('/') ? target + fs::path(source).filename().native() : target;
}

std::uint64_t copy_in(const Context& context, const std::string& source, const GuestPath& target)
{
    const launcher::Instance instance = launcher::resolve_instance(context.paths, target.instance);
    const FileDescriptor file(source == "-" ? ::dup(STDIN_FILENO) : ::open(source.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {
    };
    if (!file || ::fstat(file.get(), &status) != 0) {
        throw system_error(errno, fmt::format("reading {}", source));
    }
    if (S_ISDIR(status.st_mode)) {
        throw Error(
            ErrorKind::usage, fmt::format("{} is a folder", source),
            fmt::format("single files are copied; for a folder: tar -C {} -c . | kiln instance ssh {} -- tar -x "
                        "-C /TARGET",
                        source, target.instance));
    }
    const std::string path = in_folder(target.path, source);
    if (path.ends_with('/') || path.ends_with("/-")) {
        throw Error(ErrorKind::usage, "what comes from standard input needs a file's name");
    }
    return launcher::copy_to_guest(context.paths, instance, file.get(), path,
                                   source == "-" ? 0644 : status.st_mode & 0777U, context.stop);
}

std::uint64_t copy_out(const Context& context, const GuestPath& source, const std::string& target)
{
    const launcher::Instance instance = launcher::resolve_instance(context.paths, source.instance);
    if (target == "-") {
        return launcher::copy_from_guest(context.paths, instance, source.path, STDOUT_FILENO, context.stop);
    }
    const bool folder = fs::is_directory(target) && !target.ends_with('/');
    OutputFile output(in_folder(folder ? target + "/" : target, source.path));
    const std::uint64_t size =
        launcher::copy_from_guest(context.paths, instance, source.path, output.get(), context.stop);
    output.commit();
    return size;
}

void copy(const Context& context, const std::string& source, const std::string& target)
{
    const auto from = parse_guest_path(source);
    const auto to = parse_guest_path(target);
    if (from.has_value() == to.has_value()) {
        throw Error(ErrorKind::usage, from ? "both are in a guest" : "neither is in a guest",
                    "write the one as INSTANCE:/PATH and the other as a path of this host");
    }
    const std::uint64_t size = to ? copy_in(context, source, *to) : copy_out(context, *from, target);
    if (target != "-") {
        print_result(context, {{"source", source}, {"target", target}, {"size", size}}, "");
    }
}

} // namespace

void add_instance_copy(CLI::App& instance, Context& context)
{
    CLI::App* command = instance.add_subcommand("copy", "Copy a file to a guest or from it; needs no network");
    auto source = std::make_shared<std::string>();
    auto target = std::make_shared<std::string>();
    command->add_option("source", *source, "INSTANCE:/PATH, or a file here; - is standard input")
        ->required()
        ->type_name("SOURCE");
    command->add_option("target", *target, "The same; a file here is a new one; - is standard output")
        ->required()
        ->type_name("TARGET");
    on_run(*command, context, [&context, source, target] { copy(context, *source, *target); });
}

} // namespace kiln::cli
