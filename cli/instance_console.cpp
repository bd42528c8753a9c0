// SPDX-License-Identifier: Apache-2.0
// kiln instance console: what the guest wrote to its serial port. It is the guest's word: on the way to a terminal its
// control characters are made visible.
#include "cli/console_attach.h"
#include "cli/instance_commands.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/text.h"
#include "launcher/instance_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

constexpr std::size_t most_bytes = std::size_t{4} << 20U; // of a log that may be as long as the guest likes

struct ConsoleOptions {
    std::string reference;
    unsigned lines = 0; // 0: all
    bool follow = false;
    bool raw = false;
    bool attach = false;
};

// Whole lines as they come; serial lines end in CR LF.
class Printer
{
public:
    explicit Printer(bool raw) : raw_(raw) {}

    void print(std::string_view bytes)
    {
        if (raw_) {
            write(bytes);
            return;
        }
        pending_ += bytes;
        const auto end = pending_.rfind('\n');
        if (end != std::string::npos) {
            write(visible(std::string_view(pending_).substr(0, end + 1)));
            pending_.erase(0, end + 1);
        }
        if (pending_.size() > 65536) { // no line is that long
            flush();
        }
    }
    // A prompt has no end of line.
    void flush()
    {
        write(visible(pending_));
        pending_.clear();
    }
    static std::string visible(std::string_view text)
    {
        std::string lines;
        while (!text.empty()) {
            const bool ended = text.find('\n') != std::string_view::npos;
            std::string_view line = next_line(text);
            while (line.ends_with('\r')) {
                line.remove_suffix(1);
            }
            lines += printable(line, false) + (ended ? "\n" : "");
        }
        return lines;
    }

private:
    static void write(std::string_view text)
    {
        if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
            throw system_error(errno, "writing to standard output");
        }
    }
    bool raw_;
    std::string pending_;
};

std::string last_part(const FileDescriptor& file, unsigned lines, off_t& at)
{
    struct stat status {
    };
    ::fstat(file.get(), &status);
    const auto size = static_cast<std::size_t>(status.st_size);
    const std::size_t from = size > most_bytes ? size - most_bytes : 0;
    std::string text = read_at(file.get(), from, size - from, "reading the console");
    at = static_cast<off_t>(from + text.size());
    return lines == 0 ? text : tail_lines(text, lines);
}

// Until the instance has ended and all of it is printed.
void follow(const Context& context, const launcher::Instance& instance, const FileDescriptor& file, off_t at,
            Printer& printer)
{
    for (;;) {
        const bool runs =
            launcher::find_qemu(launcher::InstancePaths(context.paths, instance.id), instance.id).has_value();
        const std::string more =
            read_at(file.get(), static_cast<std::uint64_t>(at), std::size_t{1} << 16U, "reading the console");
        at += static_cast<off_t>(more.size());
        printer.print(more);
        if (more.empty()) {
            printer.flush();
            if (!runs) {
                return;
            }
            throw_if_interrupted(context.stop);
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
        }
    }
}

void console(const Context& context, const ConsoleOptions& options)
{
    const launcher::Instance instance = launcher::resolve_instance(context.paths, options.reference);
    if ((options.follow || options.attach) && context.json) {
        throw Error(ErrorKind::usage, "--follow or --attach and --json exclude each other");
    }
    if (options.attach) {
        attach_console(context, instance);
        return;
    }
    const launcher::InstancePaths files(context.paths, instance.id);
    const FileDescriptor file(::open(files.console.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        throw Error(ErrorKind::not_found,
                    fmt::format("{} has no console: it is {}", instance.id, name_of(instance.state)));
    }
    off_t at = 0;
    const std::string text = last_part(file, options.lines, at);
    if (context.json) {
        print_result(context, {{"instance_id", instance.id}, {"output", Printer::visible(text)}}, "");
        return;
    }
    Printer printer(options.raw);
    printer.print(text);
    if (options.follow) {
        follow(context, instance, file, at, printer);
    }
    printer.flush();
}

} // namespace

void add_instance_console(CLI::App& instance, Context& context)
{
    CLI::App* command = instance.add_subcommand("console", "What the guest wrote to its serial console");
    auto options = std::make_shared<ConsoleOptions>();
    command->add_option("instance", options->reference, "Its id or name")->required()->type_name("INSTANCE");
    command->add_option("-n,--lines", options->lines, "Only the last so many (default: the last 4 MiB)")
        ->check(CLI::Range(1, 1'000'000))
        ->type_name("N");
    command->add_flag("-f,--follow", options->follow, "Go on until the instance ends");
    command
        ->add_flag("--attach", options->attach,
                   "Type into it, too, until Ctrl-]; what the guest sends drives your terminal")
        ->excludes("--follow", "--lines");
    command->add_flag("--raw", options->raw, "The guest's bytes as they are, with what drives a terminal");
    on_run(*command, context, [&context, options] { console(context, *options); });
}

} // namespace kiln::cli
