// SPDX-License-Identifier: Apache-2.0
#include "registry/region.h"

#include "core/error.h"
#include "core/files.h"
#include "core/names.h"
#include "core/random.h"
#include "core/text.h"
#include "registry/lifecycle.h"
#include "registry/region_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

fs::path catalogue_file(const fs::path& folder)
{
    return folder / "catalogue.sqlite";
}

// The layout's own file is the last that is written: where it is, all the others have to be.
void make_region(const fs::path& folder)
{
    make_directories(folder);
    sync_directory(folder.parent_path());
    const FileLock lock(lock_file(folder), FileLock::Wait::block);
    if (!fs::exists(folder / "oci-layout")) {
        const Catalogue catalogue(catalogue_file(folder), Catalogue::Missing::create);
        const bundle::Layout layout(folder, true);
    }
}

Error unknown_id(std::string_view id, const std::string& region, const std::vector<Image>& images)
{
    std::vector<std::string_view> ids;
    ids.reserve(images.size());
    for (const Image& image : images) {
        ids.emplace_back(image.id);
    }
    const auto near = near_miss(id, ids);
    return {ErrorKind::not_found, fmt::format("there is no image {} in region {}", id, region),
            near ? fmt::format("did you mean {}?", *near) : "`kiln image list` shows what is there"};
}

Error unknown_name(std::string_view name, const std::string& region, const std::vector<Image>& images)
{
    std::vector<std::string_view> names;
    names.reserve(images.size());
    for (const Image& image : images) {
        names.emplace_back(image.name);
    }
    const auto near = near_miss(name, names);
    return {ErrorKind::not_found, fmt::format("there is no image named {} in region {}", name, region),
            near ? fmt::format("did you mean {}?", *near) : "`kiln image list` shows what is there"};
}

Error unknown_version(std::string_view name, std::string_view version, const std::string& region,
                      const std::vector<Image>& images)
{
    constexpr std::size_t shown = 5;
    std::vector<std::string> versions;
    for (const Image& image : images) {
        const std::string text = image.version.to_string();
        if (versions.size() < shown && (versions.empty() || versions.back() != text)) {
            versions.push_back(text);
        }
    }
    return {ErrorKind::not_found, fmt::format("{} has no version {} in region {}", name, version, region),
            fmt::format("the newest there: {}", join(versions, ", "))};
}

Error unknown_channel(std::string_view name, std::string_view channel, const std::string& region)
{
    return {ErrorKind::not_found, fmt::format("{} has no channel {} in region {}", name, channel, region),
            fmt::format("`kiln image channel {} {}` puts its newest version into it", name, channel)};
}

Error deregistered(const Image& image, const std::string& region)
{
    return {
        ErrorKind::not_found,
        fmt::format("{} ({} {}) in region {} was deregistered", image.id, image.name, image.version.to_string(),
                    region),
        fmt::format("its id and version never come back; `kiln image history {}` tells when and by whom", image.id)};
}

Error malformed(std::string_view reference)
{
    return {
        ErrorKind::usage, fmt::format("\"{}\" does not name an image", printable(reference.substr(0, 200), false)),
        "write an id like ami-0123456789abcdef0, a name, name@1.2.3, name@1.2.x, name@stable or name@sha256:DIGEST"};
}

} // namespace

Region::Region(fs::path folder, std::string name, fs::path memory)
{
    if (memory.empty()) {
        memory = folder.native() + ".seen";
    }
    if (!fs::exists(folder / "oci-layout")) {
        make_region(folder);
    }
    bundle::Layout layout(folder, false);
    Catalogue catalogue(catalogue_file(folder), Catalogue::Missing::refuse);
    state_ = std::make_unique<State>(
        State{std::move(folder), std::move(name), std::move(layout), std::move(catalogue), Memory(memory)});
}

Region::~Region() = default;

const std::string& Region::name() const noexcept
{
    return state_->name;
}

const bundle::Layout& Region::layout() const noexcept
{
    return state_->layout;
}

std::vector<Image> Region::images(Registered registered) const
{
    return registered == Registered::yes ? state_->catalogue.images() : state_->catalogue.all_images();
}

std::vector<Image> Region::images(const ImageQuery& query) const
{
    if (needs_facts(query)) {
        fill_in_facts();
    }
    return state_->catalogue.images(query);
}

void Region::fill_in_facts() const
{
    std::vector<Image> found;
    for (Image& image : state_->catalogue.without_facts()) {
        try {
            image.facts = facts_of(load_manifest(image));
            found.push_back(std::move(image));
        } catch (const Error&) {
            continue; // a damaged one is found by what looks for damage
        }
    }
    if (!found.empty()) {
        state_->catalogue.add_facts(found);
    }
}

SemanticVersion Region::next_patch(std::string_view image_name, std::uint32_t major, std::uint32_t minor,
                                   std::string_view architecture) const
{
    const auto highest = state_->catalogue.highest_patch(image_name, major, minor, architecture);
    if (highest && *highest == INT32_MAX) {
        throw Error(ErrorKind::conflict, fmt::format("{} {}.{} has no patch number left", image_name, major, minor),
                    "raise the minor version");
    }
    return {major, minor, highest ? *highest + 1 : 0};
}

std::optional<Image> Region::find_id(std::string_view id) const
{
    return state_->catalogue.find_id(id);
}

std::optional<Image> Region::find(std::string_view name, const SemanticVersion& version,
                                  std::string_view architecture) const
{
    return state_->catalogue.find(name, version, architecture);
}

Image Region::resolve(std::string_view reference, const signing::TrustStore& trust) const
{
    const std::size_t at = reference.find('@');
    if (at == std::string_view::npos || !bundle::is_image_name(reference.substr(0, at)) ||
        !is_channel_name(reference.substr(at + 1))) {
        return resolve(reference);
    }
    return resolve_channel(std::string(reference.substr(0, at)), std::string(reference.substr(at + 1)), trust);
}

Image Region::resolve_channel(const std::string& image_name, const std::string& channel,
                              const signing::TrustStore& trust) const
{
    const EventLog log = state_->events();
    const signing::KeysOfAccount keys = keys_of(trust);
    log.catch_up(keys);
    const auto row = log.find_channel(image_name, channel);
    if (!row) {
        const auto candidates = state_->catalogue.images_named(image_name);
        throw candidates.empty() ? unknown_name(image_name, name(), images())
                                 : unknown_channel(image_name, channel, name());
    }
    const EventLog::Verified verified = log.verified(row->image, keys);
    const auto event = std::ranges::find(verified.events, row->event,
                                         [](const signing::ReadEvent& read) { return read.event.number; });
    if (event == verified.events.end() || event->event.action != action::channel ||
        event->event.account != verified.row.holder || verified.row.name != image_name ||
        event->event.arguments != take_channel(image_name, channel).arguments) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("no signed event explains that the channel {} of {} names {} in region {}", channel,
                                image_name, row->image, name()),
                    "restore the region's catalogue.sqlite from a backup");
    }
    if (verified.row.state == ImageState::deregistered) {
        throw Error(ErrorKind::not_found,
                    fmt::format("the channel {} of {} in region {} names {}, which was deregistered", channel,
                                image_name, name(), row->image),
                    fmt::format("`kiln image channel AMI {}` moves it to another version", channel));
    }
    return verified.row;
}

Image Region::resolve(std::string_view reference) const
{
    if (is_resource_id("ami-", reference)) {
        auto image = state_->catalogue.find_id(reference);
        if (image && image->state == ImageState::deregistered) {
            throw deregistered(*image, name());
        }
        return image ? *std::move(image) : throw unknown_id(reference, name(), images());
    }
    const std::size_t at = reference.find('@');
    const std::string_view wanted = reference.substr(0, at);
    const std::string_view version = at == std::string_view::npos ? "x.x.x" : reference.substr(at + 1);
    const auto pattern = parse_version_pattern(version);
    const auto digest = Digest::parse(version);
    if (!bundle::is_image_name(wanted) || (!pattern && !digest)) {
        throw malformed(reference);
    }
    const std::vector<Image> candidates = state_->catalogue.images_named(wanted);
    if (candidates.empty()) {
        throw unknown_name(wanted, name(), images());
    }
    const auto found = std::find_if(candidates.begin(), candidates.end(), [&](const Image& image) {
        return digest ? image.manifest == *digest : pattern->matches(image.version);
    });
    if (found == candidates.end()) {
        throw unknown_version(wanted, version, name(), candidates);
    }
    return *found;
}

bundle::Manifest Region::load_manifest(const Image& image) const
{
    try {
        const auto oci = bundle::parse_ami_oci_manifest(layout().read_verified(image.manifest));
        return bundle::manifest_from_json(parse_json(layout().read_verified(oci.config.digest), "manifest"));
    } catch (const Error& error) {
        const ErrorKind kind = error.kind() == ErrorKind::io ? ErrorKind::untrusted : error.kind();
        throw Error(kind, fmt::format("the manifest of {} ({}) can't be read: {}", image.name, image.id, error.what()),
                    error.hint());
    }
}

} // namespace kiln::registry
