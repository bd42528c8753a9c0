// SPDX-License-Identifier: Apache-2.0
#include "cli/foreign_image.h"

#include "builder/build.h"
#include "builder/foreign_disk.h"
#include "cli/attestations.h"
#include "cli/build_logs.h"
#include "cli/publish.h"
#include "cli/work_folders.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "recipes/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>

namespace kiln::cli
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t longest_description = 4096; // in a manifest
constexpr std::size_t piece_size = std::size_t{1} << 20U;

std::string name_from(const ForeignImage& wanted)
{
    std::string name = wanted.name.empty() ? wanted.file.stem().native() : wanted.name;
    if (!bundle::is_image_name(name)) {
        throw Error(
            ErrorKind::usage,
            fmt::format("{}\"{}\" is not an image name", wanted.name.empty() ? "" : "--name: ", printable(name, false)),
            "--name NAME: 3 to 128 lower-case letters, digits and inner - . _");
    }
    return name;
}

SemanticVersion version_from(const ForeignImage& wanted)
{
    const auto version = parse_semantic_version(wanted.version.empty() ? "1.0.0" : wanted.version);
    if (!version) {
        throw Error(ErrorKind::usage,
                    fmt::format("--version: \"{}\" is not a version", printable(wanted.version, false)),
                    "a version is like 1.0.0");
    }
    return *version;
}

std::string description_from(const ForeignImage& wanted)
{
    if (wanted.description.size() > longest_description || printable(wanted.description) != wanted.description) {
        throw Error(ErrorKind::usage, "--description: it is longer than 4096 bytes, or has control characters");
    }
    return wanted.description;
}

std::string format_from(const ForeignImage& wanted)
{
    const auto by_name = disk_format_of(wanted.file);
    if (wanted.format.empty() && !by_name) {
        throw Error(
            ErrorKind::usage,
            fmt::format("the name {} does not say what format it is in", printable(wanted.file.native(), false)),
            "--format qcow2, raw or vmdk: it is never guessed from the content");
    }
    return wanted.format.empty() ? std::string(*by_name) : wanted.format;
}

std::optional<Digest> wanted_digest(const ForeignImage& wanted)
{
    if (wanted.sha256.empty()) {
        return std::nullopt;
    }
    auto digest = Digest::parse(wanted.sha256.starts_with("sha256:") ? wanted.sha256 : "sha256:" + wanted.sha256);
    if (!digest) {
        throw Error(ErrorKind::usage,
                    fmt::format("--sha256: \"{}\" is not a digest", printable(wanted.sha256.substr(0, 100), false)),
                    "give the 64 hex digits that `sha256sum` prints");
    }
    return digest;
}

// What the builder's private copy is compared with, so that a file that changes meanwhile is noticed.
Digest digest_as_it_is(const fs::path& file, const std::stop_token& stop)
{
    const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", printable(file.native(), false)));
    }
    Sha256 hash;
    for (std::uint64_t offset = 0;;) {
        throw_if_interrupted(stop);
        const std::string piece = read_at(fd.get(), offset, piece_size, "reading a disk image");
        if (piece.empty()) {
            return hash.finish();
        }
        hash.update(piece);
        offset += piece.size();
    }
}

bundle::Manifest foreign_manifest(const recipes::Recipe& recipe, const std::string& owner)
{
    bundle::Manifest manifest;
    manifest.name = recipe.name;
    manifest.version = recipe.version;
    manifest.description = recipe.description;
    manifest.architecture = recipe.architecture;
    manifest.boot_mode = recipe.boot.firmware;
    manifest.owner = owner;
    manifest.source.kind = "disk";
    manifest.source.disk = std::get<recipes::DiskBase>(recipe.base).sha256;
    return manifest;
}

} // namespace

std::optional<std::string_view> disk_format_of(const fs::path& file)
{
    constexpr std::array<std::string_view, 3> formats{"qcow2", "raw", "vmdk"};
    const std::string ending = file.extension();
    const auto* const found =
        std::ranges::find_if(formats, [&](std::string_view format) { return ending == fmt::format(".{}", format); });
    return found == formats.end() ? std::nullopt : std::optional(*found);
}

registry::Image import_foreign_image(const Context& context, const ForeignImage& wanted, Progress& progress)
{
    recipes::Recipe recipe;
    recipe.name = name_from(wanted);
    recipe.version = version_from(wanted);
    recipe.description = description_from(wanted);
    recipe.architecture = wanted.architecture;
    recipe.boot.firmware = wanted.boot_mode;
    const std::string format = format_from(wanted);
    const std::optional<Digest> digest = wanted_digest(wanted);
    const auto region = context.open_region();
    require_free_version(*region, recipe.name, recipe.version, recipe.architecture);
    static_cast<void>(builder::require_safe_disk(wanted.file, format)); // before all of it is read
    const signing::Account account = signing::ensure_account(context.paths);
    const signing::SecretKey key = context.account_key();

    const std::string started = iso_now();
    progress.stage(fmt::format("read {}", printable(wanted.file.filename().native(), false)));
    recipe.base = recipes::DiskBase{
        .file = wanted.file, .format = format, .sha256 = digest ? *digest : digest_as_it_is(wanted.file, context.stop)};
    recipe.digest = digest_of(canonical_json(recipes::to_json(recipe)));
    const WorkFolders work(context.paths, "import-");
    const builder::DiskSet disks = builder::build(recipe,
                                                  {.kiln = "/proc/self/exe",
                                                   .accelerator = context.accelerator(),
                                                   .work = work.disks.path(),
                                                   .sockets = work.sockets.path(),
                                                   .cache = context.paths.cache,
                                                   .logs = make_log_folder(context.paths, recipe.name)},
                                                  progress, context.stop);
    progress.stage("sign and publish");
    const auto attachments =
        attestations_of(recipe, disks, {.account = account.id, .started = started, .version = recipe.version});
    return publish(*region, foreign_manifest(recipe, account.id), disks, attachments, key);
}

} // namespace kiln::cli
