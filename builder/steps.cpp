// SPDX-License-Identifier: Apache-2.0
#include "builder/steps.h"

#include "builder/step_kinds.h"
#include "core/error.h"
#include "core/file_descriptor.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace kiln::builder
{
namespace
{

PackageInstaller& installer(const StepContext& context)
{
    if (context.packages == nullptr) {
        throw Error(ErrorKind::internal, "this build has nothing that installs packages");
    }
    return *context.packages;
}

} // namespace

void apply(const StepContext& context, const recipes::PackagesStep& step)
{
    installer(context).install(context.appliance, step, context.log);
}

void apply(const StepContext& context, const recipes::AptSourceStep& step)
{
    installer(context).add_source(context.appliance, step);
}

void append_to_log(const StepContext& context, std::string_view text)
{
    if (context.log.empty()) {
        return;
    }
    FileDescriptor fd(::open(context.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    while (fd && !text.empty()) {
        const ssize_t written = ::write(fd.get(), text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            break;
        }
        text.remove_prefix(static_cast<std::size_t>(written < 0 ? 0 : written));
    }
    if (!fd || !text.empty()) {
        throw system_error(errno, fmt::format("writing {}", context.log.native()));
    }
    fd.close();
}

void run_logged(const StepContext& context, const std::vector<std::string>& argv)
{
    append_to_log(context, context.appliance.run(argv));
}

void require_in_guest(const StepContext& context, const std::string& program, std::string_view package)
{
    if (!context.appliance.exists(program)) {
        throw Error(ErrorKind::step_failed, fmt::format("the image has no {}", program),
                    fmt::format("add the package \"{}\" to the recipe", package));
    }
}

void apply_step(const StepContext& context, const recipes::Step& step)
{
    try {
        std::visit([&](const auto& action) { apply(context, action); }, step.action);
    } catch (Error& error) {
        const std::filesystem::path& file = step.file.empty() ? context.recipe.file : step.file;
        error.at(fmt::format("{}:{}:{}", file.native(), step.position.line, step.position.column))
            .while_doing(title_of(step));
        throw;
    }
}

bool needs_network(const recipes::Step& step)
{
    const auto* run = std::get_if<recipes::RunStep>(&step.action);
    return run != nullptr && run->network;
}

} // namespace kiln::builder
