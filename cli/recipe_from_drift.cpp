// SPDX-License-Identifier: Apache-2.0
// kiln recipe from-drift: from what a snapshot's manifest says about its parent to a recipe on that, with the files.
#include "builder/diff/read_files.h"
#include "cli/context.h"
#include "cli/image_drift.h"
#include "core/error.h"
#include "core/files.h"
#include "recipes/drift_recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace kiln::cli
{
namespace
{

namespace fs = std::filesystem;
using recipes::DriftedFile;

struct FromDriftOptions {
    std::string image;
    std::string folder;
};

// What the words for users, services and packages make, or what no image should take from an instance.
std::string why_left_out(const std::string& path)
{
    constexpr std::array<std::string_view, 8> accounts{"/etc/passwd", "/etc/shadow", "/etc/group",   "/etc/gshadow",
                                                       "/etc/subuid", "/etc/subgid", "/etc/passwd-", "/etc/shadow-"};
    if (std::ranges::find(accounts, path) != accounts.end()) {
        return "accounts: see the steps for users; passwords are not taken over";
    }
    if (path == "/etc/machine-id" || path.starts_with("/etc/ssh/ssh_host_")) {
        return "the identity of one machine";
    }
    if (path.starts_with("/etc/systemd/system/") && path.find(".wants") != path.npos) {
        return "services: see their steps";
    }
    return "";
}

std::vector<std::string> paths_to_read(const bundle::Drift& drift)
{
    std::vector<std::string> paths;
    for (const auto* list : {&drift.files_added, &drift.files_changed}) {
        std::ranges::copy_if(*list, std::back_inserter(paths),
                             [](const std::string& path) { return why_left_out(path).empty(); });
    }
    std::ranges::sort(paths);
    return paths;
}

void add_accounts_and_packages(const bundle::Drift& drift, const builder::ImageFiles& found,
                               recipes::DriftRecipe& draft)
{
    for (const bundle::DriftPackage& package : drift.packages) {
        if (package.from.empty()) {
            draft.packages_added.push_back(package.name);
        } else if (package.to.empty()) {
            draft.packages_removed.push_back(package.name);
        } else {
            draft.notes.push_back(
                fmt::format("{} was {} in the parent and is {} in the instance: build on a newer parent", package.name,
                            package.from, package.to));
        }
    }
    for (const builder::GuestUser& user : found.users) {
        if (std::ranges::find(drift.users_added, user.name) == drift.users_added.end()) {
            continue;
        }
        if (user.id >= 1000) {
            draft.users.push_back({user.name, user.id, user.home});
        } else {
            draft.notes.push_back(fmt::format("the system's user {} is made by a package, or is missing", user.name));
        }
    }
    for (const std::string& user : drift.users_removed) {
        draft.notes.push_back(fmt::format("the user {} was removed", user));
    }
}

// The files go below `folder`.
void add_files(const bundle::Drift& drift, const builder::ImageFiles& found, const fs::path& folder,
               recipes::DriftRecipe& draft)
{
    for (const builder::ImageFile& file : found.files) {
        DriftedFile drifted{
            .path = file.path, .mode = file.mode, .user = file.user, .group = file.group, .source = file.content};
        switch (file.kind) {
        case builder::ImageFile::Kind::file: {
            drifted.kind = DriftedFile::Kind::file;
            drifted.source = fmt::format("files/{:04}", draft.files.size());
            write_file_durably(folder / drifted.source, file.content, 0600);
            break;
        }
        case builder::ImageFile::Kind::folder:
            drifted.kind = DriftedFile::Kind::folder;
            break;
        case builder::ImageFile::Kind::link:
            drifted.kind = DriftedFile::Kind::link;
            break;
        default:
            draft.notes.push_back(fmt::format("{} is too large for a recipe, or no file: not taken over", file.path));
        }
        draft.files.push_back(std::move(drifted));
    }
    for (const auto* list : {&drift.files_added, &drift.files_changed, &drift.files_removed}) {
        for (const std::string& path : *list) {
            const std::string why = why_left_out(path);
            if (why.empty() && list == &drift.files_removed) {
                draft.files_removed.push_back(path);
            } else if (!why.empty() && !why.starts_with("services")) {
                draft.notes.push_back(fmt::format("{}: {}", path, why));
            }
        }
    }
    for (const std::string& path : paths_to_read(drift)) {
        if (std::ranges::find(found.files, path, &builder::ImageFile::path) == found.files.end()) {
            draft.notes.push_back(path +
                                  " is not in the image under this name, which was not plain text: not taken over");
        }
    }
    if (drift.files_omitted > 0) {
        draft.notes.push_back(fmt::format("{} more files differ than the AMI's manifest lists", drift.files_omitted));
    }
}

void from_drift(Context& context, const FromDriftOptions& options)
{
    const auto region = context.open_region();
    Progress progress;
    progress.stage("verify the AMI");
    const ReadableImage image = readable_image(context, *region, options.image);
    const auto& snapshot = image.manifest.source.snapshot;
    if (!snapshot || !snapshot->drift || !image.manifest.parent) {
        throw Error(ErrorKind::usage, fmt::format("{} has no record of a drift from a parent", image.image.id),
                    "snapshots have one, unless they were taken with --exact; `kiln image diff` compares any two");
    }
    const fs::path folder = options.folder.empty()
                                ? fs::path(fmt::format("{}-{}", image.image.name, image.image.version.to_string()))
                                : fs::path(options.folder);
    if (fs::exists(fs::symlink_status(folder))) {
        throw Error(ErrorKind::conflict, fmt::format("{} exists", folder.native()), "choose another --output");
    }
    const bundle::Drift& drift = *snapshot->drift;
    const WorkFolders work(context.paths, "diff-");
    const builder::ImageFiles found = builder::read_image_files(image.disks, paths_to_read(drift),
                                                                {.accelerator = context.accelerator(),
                                                                 .work = work.disks.path(),
                                                                 .cache = context.paths.cache,
                                                                 .sockets = work.sockets.path()},
                                                                progress, context.stop);
    recipes::DriftRecipe draft{.name = image.image.name, .version = "1.0.x"};
    draft.parent = fmt::format("{}@{}", image.manifest.parent->name, image.manifest.parent->version.to_string());
    make_directories(folder / "files", 0700);
    add_accounts_and_packages(drift, found, draft);
    add_files(drift, found, folder, draft);
    draft.services_enabled = drift.services_enabled;
    draft.services_disabled = drift.services_disabled;
    const fs::path recipe = folder / "recipe.toml";
    write_file_durably(recipe, recipes::draft_recipe(draft), 0600);
    progress.finish();
    print_result(context, {{"recipe", recipe.native()}, {"parent", draft.parent}, {"notes", draft.notes}},
                 fmt::format("{}: {} packages, {} files, {} notes; read it, then: kiln build {}\n", recipe.native(),
                             draft.packages_added.size(), draft.files.size(), draft.notes.size(), recipe.native()));
}

} // namespace

void add_recipe_from_drift(CLI::App& recipe, Context& context)
{
    CLI::App* command =
        recipe.add_subcommand("from-drift", "Draft a recipe that makes of its parent what a snapshot is");
    auto options = std::make_shared<FromDriftOptions>();
    command->add_option("image", options->image, image_reference_help)->required()->type_name("AMI");
    command->add_option("--output", options->folder, "The folder to make (default: NAME-VERSION)")->type_name("FOLDER");
    on_run_in_region(*command, context, [&context, options] { from_drift(context, *options); });
}

} // namespace kiln::cli
