// SPDX-License-Identifier: Apache-2.0
// kiln volume attach|detach|resize: what a running guest notices.
#include "cli/volume_text.h"
#include "core/error.h"
#include "core/text.h"
#include "launcher/instance.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

struct AttachOptions {
    std::string volume;
    std::string instance;
    std::string device;
    bool delete_on_termination = false;
};

void attach(const Context& context, const AttachOptions& options)
{
    const launcher::Volume volume = launcher::resolve_volume(context.paths, options.volume);
    const launcher::Instance instance = launcher::resolve_instance(context.paths, options.instance);
    print_volume(context, launcher::attach_volume(
                              context.paths, volume.id,
                              {.instance_id = instance.id,
                               .device = options.device.empty() ? std::nullopt : std::optional(options.device),
                               .delete_on_termination = options.delete_on_termination},
                              context.stop));
}

void detach(const Context& context, const std::string& reference, unsigned timeout, bool force)
{
    const launcher::Volume volume = launcher::resolve_volume(context.paths, reference);
    print_volume(context,
                 launcher::detach_volume(context.paths, volume.id,
                                         {.patience = std::chrono::seconds(timeout), .force = force}, context.stop));
}

void resize(const Context& context, const std::string& reference, const std::string& size)
{
    const auto bytes = parse_byte_size(size);
    if (!bytes) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a size", printable(size, false)), "for example 16GiB");
    }
    const launcher::Volume volume = launcher::resolve_volume(context.paths, reference);
    print_volume(context, launcher::resize_volume(context.paths, volume.id, *bytes, context.stop));
}

} // namespace

void add_volume_attach(CLI::App& volume, Context& context)
{
    CLI::App* attach_command = volume.add_subcommand("attach", "Give a volume to a running or stopped instance");
    auto attached = std::make_shared<AttachOptions>();
    attach_command->add_option("volume", attached->volume, "Its id or name")->required()->type_name("VOLUME");
    attach_command->add_option("instance", attached->instance, "Its id or name")->required()->type_name("INSTANCE");
    attach_command
        ->add_option("--device", attached->device, "/dev/sdf to /dev/sdp (default: the first one that is free)")
        ->type_name("DEVICE");
    attach_command->add_flag("--delete-on-termination", attached->delete_on_termination,
                             "Delete it when the instance is terminated");
    on_run(*attach_command, context, [&context, attached] { attach(context, *attached); });

    CLI::App* detach_command = volume.add_subcommand("detach", "Take a volume back from its instance");
    auto reference = std::make_shared<std::string>();
    auto timeout = std::make_shared<unsigned>(30);
    auto force = std::make_shared<bool>(false);
    detach_command->add_option("volume", *reference, "Its id or name; unmount it in the guest first")
        ->required()
        ->type_name("VOLUME");
    detach_command->add_option("--timeout", *timeout, "How long the guest has to let go of it")
        ->check(CLI::Range(1, 86400))
        ->capture_default_str()
        ->type_name("SECONDS");
    detach_command->add_flag("--force", *force, "Then take it all the same; what the guest has not written is lost");
    on_run(*detach_command, context,
           [&context, reference, timeout, force] { detach(context, *reference, *timeout, *force); });

    CLI::App* resize_command = volume.add_subcommand("resize", "Make a volume larger; a running guest is told");
    auto size = std::make_shared<std::string>();
    resize_command->add_option("volume", *reference, "Its id or name")->required()->type_name("VOLUME");
    resize_command->add_option("size", *size, "Its new size, like 16GiB")->required()->type_name("SIZE");
    on_run(*resize_command, context, [&context, reference, size] { resize(context, *reference, *size); });
}

} // namespace kiln::cli
