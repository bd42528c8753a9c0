// SPDX-License-Identifier: Apache-2.0
// kiln volume create|list|show|delete|modify.
#include "cli/volume_text.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "launcher/storage/volume_chain.h"
#include "launcher/tags.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::cli
{
namespace
{

using launcher::Volume;

// Of a volume that goes while we look: nothing.
ByteSize used_by(const Context& context, const Volume& volume)
{
    try {
        ByteSize used;
        for (const std::filesystem::path& file :
             launcher::volume_chain(launcher::VolumePaths(context.paths, volume.id))) {
            used = used + allocated_size(file);
        }
        return used;
    } catch (const Error&) {
        return {};
    }
}

std::string state_text(const Volume& volume)
{
    const bool plain = !volume.attachment || volume.attachment->state == launcher::AttachmentState::attached;
    return std::string(name_of(volume.state)) + (plain ? "" : fmt::format(" ({})", name_of(volume.attachment->state)));
}

struct CreateOptions {
    std::string size;
    std::string type = "gp3";
    std::string name;
    std::vector<std::string> tags;
};

void create(const Context& context, const CreateOptions& options)
{
    const auto size = parse_byte_size(options.size);
    if (!size) {
        throw Error(ErrorKind::usage, fmt::format("--size \"{}\" is not a size", printable(options.size, false)),
                    "for example --size 8GiB");
    }
    const Volume volume =
        launcher::create_volume(context.paths,
                                {.size = *size,
                                 .type = options.type,
                                 .name = options.name.empty() ? std::nullopt : std::optional(options.name),
                                 .tags = launcher::parse_tags(options.tags)},
                                context.stop);
    print_volume(context, volume);
}

void list(const Context& context, bool quiet)
{
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {
        {"VOLUME", "NAME", "SIZE", "USED", "STATE", "INSTANCE", "DEVICE", "CREATED"}};
    std::string ids;
    for (const Volume& volume : launcher::list_volumes(context.paths)) {
        json.push_back(volume_json(context, volume));
        rows.push_back({volume.id, printable(volume.name.value_or("-"), false), to_string(volume.size),
                        to_string(used_by(context, volume)), state_text(volume),
                        volume.attachment ? volume.attachment->instance_id : "-",
                        volume.attachment ? printable(volume.attachment->device, false) : "-", volume.created});
        ids += volume.id + "\n";
    }
    print_result(context, json,
                 quiet         ? ids
                 : ids.empty() ? "There is no volume; `kiln volume create --size 8GiB` makes one.\n"
                               : table(rows));
}

void remove(Context& context, const std::vector<std::string>& references)
{
    std::vector<Volume> volumes; // all exist, or none is deleted
    for (const std::string& reference : references) {
        Volume volume = launcher::resolve_volume(context.paths, reference);
        if (std::ranges::find(volumes, volume.id, &Volume::id) == volumes.end()) {
            volumes.push_back(std::move(volume));
        }
    }
    Json json = Json::array();
    std::string text;
    for (const Volume& volume : volumes) {
        launcher::delete_volume(context.paths, volume.id, context.stop);
        json.push_back({{"volume_id", volume.id}, {"state", "deleted"}});
        text += volume.id + "  deleted\n";
    }
    print_result(context, json, text);
}

struct ModifyVolumeOptions {
    std::string reference;
    std::optional<std::string> name;
    bool delete_on_termination = false;
    bool keep_on_termination = false;
    std::vector<std::string> tags;
    std::vector<std::string> removed;
};

void modify(const Context& context, const ModifyVolumeOptions& options)
{
    launcher::VolumeChange change{
        .name = options.name, .tags = launcher::parse_tags(options.tags), .removed_tags = options.removed};
    if (options.delete_on_termination || options.keep_on_termination) {
        change.delete_on_termination = options.delete_on_termination;
    }
    if (!change.name && !change.delete_on_termination && change.tags.empty() && change.removed_tags.empty()) {
        throw Error(ErrorKind::usage, "there is nothing to modify", "`kiln volume modify --help` tells what can be");
    }
    const Volume volume = launcher::resolve_volume(context.paths, options.reference);
    print_volume(context, launcher::modify_volume(context.paths, volume.id, change, context.stop));
}

void add_modify(CLI::App& volume, Context& context)
{
    CLI::App* command = volume.add_subcommand("modify", "Change a volume's name, tags, or what its instance's end is");
    auto options = std::make_shared<ModifyVolumeOptions>();
    command->add_option("volume", options->reference, "Its id or name")->required()->type_name("VOLUME");
    command->add_option("--name", options->name, "Another name; an empty one takes it away")->type_name("NAME");
    auto* deleted = command->add_flag("--delete-on-termination", options->delete_on_termination,
                                      "Delete it when its instance is terminated");
    command
        ->add_flag("--no-delete-on-termination", options->keep_on_termination,
                   "Keep it when its instance is terminated")
        ->excludes(deleted);
    command->add_option("--tag", options->tags, "A tag, like team=web; may be repeated")
        ->allow_extra_args(false)
        ->type_name("KEY=VALUE");
    command->add_option("--untag", options->removed, "Take a tag away; may be repeated")
        ->allow_extra_args(false)
        ->type_name("KEY");
    on_run(*command, context, [&context, options] { modify(context, *options); });
}

} // namespace

Json volume_json(const Context& context, const Volume& volume)
{
    Json json = to_json(volume);
    json["used"] = used_by(context, volume).bytes();
    json["serial"] = launcher::volume_serial(volume.id);
    return json;
}

std::string volume_text(const Context& context, const Volume& volume)
{
    std::string text = fmt::format("{}  {}  {}  {}{}\n", volume.id, to_string(volume.size), volume.type,
                                   state_text(volume), volume.encrypted ? "  encrypted" : "");
    if (volume.name) {
        text += fmt::format("  name       {}\n", printable(*volume.name, false));
    }
    for (const auto& [key, value] : volume.tags) {
        text += fmt::format("  tag        {}={}\n", printable(key, false), printable(value, false));
    }
    if (volume.source) {
        text += fmt::format("  from       {} of {}\n", printable(volume.source->device, false),
                            printable(volume.source->image_id, false));
    }
    if (volume.attachment) {
        text += fmt::format("  instance   {} as {}{}\n", volume.attachment->instance_id,
                            printable(volume.attachment->device, false),
                            volume.attachment->delete_on_termination ? ", deleted with it" : "");
    }
    text += fmt::format("  in guest   /dev/disk/by-id/virtio-{}\n", launcher::volume_serial(volume.id));
    text += fmt::format("  on disk    {}\n", to_string(used_by(context, volume)));
    return text + fmt::format("  created    {}\n", volume.created);
}

void print_volume(const Context& context, const Volume& volume)
{
    print_result(context, volume_json(context, volume), volume_text(context, volume));
}

void add_volume(CLI::App& app, Context& context)
{
    CLI::App* volume = app.add_subcommand("volume", "Make, attach, grow and delete volumes that outlive instances");
    volume->require_subcommand(1);

    CLI::App* create_command = volume->add_subcommand("create", "Make an empty volume");
    auto created = std::make_shared<CreateOptions>();
    create_command->add_option("--size", created->size, "Like 8GiB; it takes space as it is written")
        ->required()
        ->type_name("SIZE");
    create_command->add_option("--type", created->type, "EC2's: gp2, gp3, io1, io2, sc1, st1 or standard; a label here")
        ->capture_default_str()
        ->type_name("TYPE");
    create_command->add_option("--name", created->name, "To use instead of its id")->type_name("NAME");
    create_command->add_option("--tag", created->tags, "A tag, like team=web; may be repeated")
        ->allow_extra_args(false)
        ->type_name("KEY=VALUE");
    on_run(*create_command, context, [&context, created] { create(context, *created); });

    CLI::App* list_command = volume->add_subcommand("list", "List volumes");
    auto quiet = std::make_shared<bool>(false);
    list_command->add_flag("-q,--quiet", *quiet, "Print just the ids");
    on_run(*list_command, context, [&context, quiet] { list(context, *quiet); });

    CLI::App* show_command = volume->add_subcommand("show", "All about a volume");
    auto reference = std::make_shared<std::string>();
    show_command->add_option("volume", *reference, "Its id or name")->required()->type_name("VOLUME");
    on_run(*show_command, context,
           [&context, reference] { print_volume(context, launcher::resolve_volume(context.paths, *reference)); });

    add_volume_attach(*volume, context);

    CLI::App* delete_command = volume->add_subcommand("delete", "Delete volumes, and what is on them, for good");
    auto references = std::make_shared<std::vector<std::string>>();
    delete_command->add_option("volumes", *references, "Their ids or names; available ones")
        ->required()
        ->type_name("VOLUME");
    on_run(*delete_command, context, [&context, references] { remove(context, *references); });
    add_modify(*volume, context);
}

} // namespace kiln::cli
