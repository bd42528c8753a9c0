// SPDX-License-Identifier: Apache-2.0
#include "cli/image_drift.h"

#include "cli/verification.h"
#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <map>

namespace kiln::cli
{
namespace
{

using Kind = builder::FileChange::Kind;

constexpr std::string_view marks = "+-~"; // of added, removed, changed

std::string signed_size(std::int64_t bytes)
{
    return fmt::format("{}{}", bytes < 0 ? "-" : "+", to_string(ByteSize(static_cast<std::uint64_t>(std::abs(bytes)))));
}

bool is_explained(const builder::FileChange& file)
{
    return file.state || !file.package.empty();
}

} // namespace

ReadableImage readable_image(const Context& context, const registry::Region& region, const std::string& reference)
{
    const signing::TrustStore trust = context.trust();
    const registry::Image image = region.resolve(reference, trust);
    const signing::Account account = signing::ensure_account(context.paths);
    registry::VerificationRecord record = verification_record(context);
    registry::Lease lease = region.lease({image.manifest});
    const registry::VerifiedImage verified =
        registry::verify(region, image, trust, account.id, {.reading = registry::Reading::changed, .record = &record});
    return {.image = verified.image(),
            .manifest = verified.manifest(),
            .disks = disks_of(region, verified.manifest()),
            .lease = std::move(lease)};
}

std::vector<builder::ImageDisk> disks_of(const registry::Region& region, const bundle::Manifest& manifest)
{
    std::vector<builder::ImageDisk> disks;
    for (const bundle::BlockDeviceMapping& mapping : manifest.block_devices) {
        builder::ImageDisk disk{.size = mapping.size, .layers = {}};
        for (const bundle::LayerReference& layer : mapping.layers) {
            disk.layers.push_back(region.layout().blob_path(layer.digest));
        }
        disks.push_back(std::move(disk));
    }
    return disks;
}

builder::ImageDiff diff_disks(const Context& context, const WorkFolders& work,
                              const std::vector<builder::ImageDisk>& before,
                              const std::vector<builder::ImageDisk>& after, Progress& progress)
{
    return builder::diff_images(before, after,
                                {.accelerator = context.accelerator(),
                                 .work = work.disks.path(),
                                 .cache = context.paths.cache,
                                 .sockets = work.sockets.path()},
                                progress, context.stop);
}

bundle::Drift drift_of(const builder::ImageDiff& diff)
{
    bundle::Drift drift;
    for (const builder::PackageChange& package : diff.packages) {
        drift.packages.push_back({package.name, package.architecture, package.from, package.to});
    }
    const std::array<std::vector<std::string>*, 3> lists{&drift.files_added, &drift.files_removed,
                                                         &drift.files_changed};
    for (const builder::FileChange& file : diff.files) {
        if (!is_explained(file)) {
            lists.at(static_cast<std::size_t>(file.kind))->push_back(file.path);
        }
    }
    drift.users_added = diff.users_added;
    drift.users_removed = diff.users_removed;
    drift.services_enabled = diff.services_enabled;
    drift.services_disabled = diff.services_disabled;
    drift.size_change = diff.size_change;
    return bundle::fitted(std::move(drift));
}

std::string diff_text(const builder::ImageDiff& diff, bool all_files)
{
    std::string text;
    const auto line = [&](const char* what, char mark, std::string_view name) {
        text += fmt::format("{:<8} {} {}\n", what, mark, printable(name, false));
    };
    for (const builder::PackageChange& package : diff.packages) {
        const char mark = package.from.empty() ? '+' : package.to.empty() ? '-' : '~';
        const std::string versions = mark == '~' ? fmt::format("{} -> {}", package.from, package.to)
                                                 : (package.from.empty() ? package.to : package.from);
        line("package", mark, fmt::format("{} {}", package.name, versions));
    }
    const auto lines = [&](const char* what, char mark, const std::vector<std::string>& names) {
        for (const std::string& name : names) {
            line(what, mark, name);
        }
    };
    lines("user", '+', diff.users_added);
    lines("user", '-', diff.users_removed);
    lines("service", '+', diff.services_enabled);
    lines("service", '-', diff.services_disabled);
    std::size_t of_packages = 0;
    std::size_t state = 0;
    for (const builder::FileChange& file : diff.files) {
        if (all_files || !is_explained(file)) {
            line("file", marks[static_cast<std::size_t>(file.kind)], file.path);
        } else if (file.state) {
            ++state;
        } else {
            ++of_packages;
        }
    }
    if (of_packages + state > 0) {
        text += fmt::format("and {} files of the packages above, {} logs, caches and indexes (--all lists them)\n",
                            of_packages, state);
    }
    return text.empty() ? "no difference\n" : text + fmt::format("files: {}\n", signed_size(diff.size_change));
}

} // namespace kiln::cli
