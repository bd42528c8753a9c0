// SPDX-License-Identifier: Apache-2.0
// Scripts. A hostile guest may write anything into the folder that the script is run from: what is read back is
// bounded and is only ever shown.
#include "builder/memory_folder.h"
#include "builder/run_script.h"
#include "builder/step_kinds.h"
#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace kiln::builder
{
namespace
{

constexpr std::size_t tail_length = 10;        // lines of output in an error
constexpr std::size_t longest_tail = 8 << 10U; // bytes of it

struct Ending {
    std::optional<int> status; // none: it did not end by itself
    std::string output;        // without secrets
};

std::optional<int> parse_status(std::string_view text)
{
    int status = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
    return error == std::errc() && status >= 0 ? std::optional(status) : std::nullopt;
}

Ending run_script(const StepContext& context, const recipes::RunStep& step)
{
    Appliance& appliance = context.appliance;
    const ByteSize room(largest_output + step.script.size() + mebibytes(4).bytes());
    MemoryFolder folder(appliance, run_folder, room);
    std::optional<MemoryFolder> secrets;
    if (!step.secrets.empty()) {
        secrets.emplace(appliance, secrets_folder, ByteSize((step.secrets.size() + 16) * largest_secret.bytes()));
        for (const std::string& name : step.secrets) {
            appliance.write_secret(secrets->file(name), context.secrets.value(name));
            appliance.set_mode(secrets->file(name), 0400);
        }
    }
    appliance.write_file(folder.file("script"), step.script);
    appliance.set_mode(folder.file("script"), 0700);
    appliance.write_file(folder.file("start"), start_script(step));
    appliance.write_file(folder.file("runner"), runner_script());

    appliance.run({"/bin/sh", folder.file("runner"), std::to_string(step.timeout.count())});
    appliance.end_guest_processes();

    Ending ending;
    if (appliance.is_file(folder.file("status"))) {
        ending.status = parse_status(appliance.read_file(folder.file("status")));
    }
    if (appliance.is_file(folder.file("log"))) {
        std::string output = appliance.read_file(folder.file("log"));
        const bool cut = output.size() >= largest_output;
        ending.output = cut ? context.secrets.redact_cut(std::move(output)) + "\n[what followed is not kept]\n"
                            : context.secrets.redact(std::move(output));
    }
    if (secrets) {
        secrets->close();
    }
    folder.close();
    return ending;
}

std::string last_words(std::string_view output)
{
    const std::string tail =
        printable(tail_lines(output.substr(output.size() - std::min(output.size(), longest_tail)), tail_length));
    return tail.empty() ? " and printed nothing" : "; its last output:\n" + tail;
}

} // namespace

void apply(const StepContext& context, const recipes::RunStep& step)
{
    context.appliance.connect_network(step.network);
    const Ending ending = run_script(context, step);
    append_to_log(context, ending.output);
    if (!ending.status) {
        throw Error(
            ErrorKind::step_failed,
            fmt::format("the script did not end within {} s{}", step.timeout.count(), last_words(ending.output)),
            "raise `timeout` of the step, or make the script quicker");
    }
    if (std::ranges::find(step.statuses, *ending.status) == step.statuses.end()) {
        throw Error(ErrorKind::step_failed,
                    fmt::format("the script exited with status {}{}", *ending.status, last_words(ending.output)),
                    "correct the step and build again; nothing was published");
    }
}

} // namespace kiln::builder
