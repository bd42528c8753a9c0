// SPDX-License-Identifier: Apache-2.0
// The region's lock keeps publishers out, who rely on blobs that are there; the leases' lock keeps out who would begin
// to. First the index loses what is to go, then the blobs go: a collector that is killed leaves less to collect.
#include "registry/upkeep/collect.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/text.h"
#include "registry/region_state.h"
#include "registry/remote/partial_blob.h"
#include "registry/upkeep/needs.h"

#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>
#include <map>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

constexpr std::string_view check_first = "`kiln registry check --repair` tells what it is, and heals what it can";

Error unsure(const std::string& region, std::string_view why, std::string_view hint = check_first)
{
    return {ErrorKind::damaged,
            fmt::format("nothing was removed from region {}, as it is not sure what is needed: {}", region, why),
            std::string(hint)};
}

struct BlobFile {
    Digest digest;
    fs::path path;
    ByteSize size;
    bool has_other_names = false;
};

// What is no regular file with the name of a blob is not the collector's to remove.
std::vector<BlobFile> blob_files(const fs::path& folder)
{
    std::vector<BlobFile> blobs;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        const auto digest = Digest::parse("sha256:" + entry.path().filename().native());
        struct stat status {
        };
        if (digest && ::lstat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
            blobs.push_back(
                {*digest, entry.path(), ByteSize(static_cast<std::uint64_t>(status.st_size)), status.st_nlink > 1});
        }
    }
    std::ranges::sort(blobs, {}, &BlobFile::digest);
    return blobs;
}

bool is_abandoned(const fs::path& work_folder)
{
    const FileDescriptor fd(::open(work_folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
}

// The caller holds the region's lock, under which all but imports write.
std::vector<fs::path> leftovers_in(const fs::path& folder)
{
    std::vector<fs::path> found;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder / "staging", ignored)) {
        found.push_back(entry.path());
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(folder / "imports", ignored)) {
        if (is_abandoned(entry.path())) {
            found.push_back(entry.path());
        }
    }
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
        const std::string name = entry.path().filename();
        if (name.ends_with(".tmp") && (name.starts_with("index.json.") || name.starts_with("oci-layout."))) {
            found.push_back(entry.path());
        }
    }
    std::ranges::sort(found);
    return found;
}

// The rows, once the events that this home knows of, and the rows, are seen to be about the same images. Of an image
// whose deregistration nobody trusted signed, everything is kept.
std::vector<Image> trustworthy_rows(const std::string& region, const Catalogue& catalogue, const EventLog& log,
                                    const signing::KeysOfAccount& keys)
{
    if (const auto damage = catalogue.damage(); !damage.empty()) {
        throw unsure(region, "the catalogue is damaged: " + damage.front(), "restore catalogue.sqlite from a backup");
    }
    log.catch_up(keys);
    std::map<std::string, Image> rows;
    for (Image& image : catalogue.all_images()) {
        rows.emplace(image.id, std::move(image));
    }
    std::set<std::string> deregistered;
    log.each(keys, [&](const StoredEvent& stored, const signing::ReadEvent& read) {
        const auto row = rows.find(stored.image);
        if (row == rows.end() || row->second.manifest != read.event.manifest) {
            throw unsure(region,
                         fmt::format("event {} is about {}, which the catalogue has {}", stored.number, stored.image,
                                     row == rows.end() ? "no row of" : "another manifest of"),
                         "restore catalogue.sqlite from a backup");
        }
        if (read.verified && read.event.action == action::deregister) {
            deregistered.insert(stored.image);
        }
    });
    std::vector<Image> images;
    for (auto& [id, image] : rows) {
        if (image.state == ImageState::deregistered && !deregistered.contains(id)) {
            image.state = ImageState::disabled; // kept as a whole
        }
        images.push_back(std::move(image));
    }
    return images;
}

// An index that lacks an image lost perhaps its attachments, too.
void require_whole_index(const std::string& region, const std::vector<IndexEntry>& entries,
                         const std::vector<Image>& images)
{
    std::set<Digest> indexed;
    for (const IndexEntry& entry : entries) {
        if (entry.digest && entry.type == bundle::ami_artifact_type) {
            indexed.insert(*entry.digest);
        }
    }
    for (const Image& image : images) {
        if (image.state != ImageState::deregistered && !indexed.contains(image.manifest)) {
            throw unsure(region, fmt::format("index.json lacks {}", title_of(image)));
        }
    }
}

// What the index does not know and yet is about something that is needed, such as a signature, is kept.
void keep_attached(Needs& needs, const bundle::Layout& layout, const std::vector<BlobFile>& blobs)
{
    for (const BlobFile& blob : blobs) {
        if (needs.has(blob.digest) || blob.size > largest_attached_manifest) {
            continue;
        }
        try {
            needs.add_attached(blob.digest, layout.read_verified(blob.digest, largest_attached_manifest));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::untrusted) { // a damaged one is no manifest any more
                throw;
            }
        }
    }
}

struct Plan {
    Collected collected;
    std::vector<fs::path> files; // of the blobs
    Json entries;                // that stay in the index
};

Plan plan_removal(const std::vector<BlobFile>& blobs, const Needs& needs, const Needs::Sorted& sorted)
{
    Plan plan{{}, {}, Json::array()};
    for (const BlobFile& blob : blobs) {
        if (needs.has(blob.digest)) {
            ++plan.collected.kept;
            continue;
        }
        plan.collected.blobs.push_back({blob.digest, blob.size});
        plan.collected.freed = blob.has_other_names ? plan.collected.freed : plan.collected.freed + blob.size;
        plan.files.push_back(blob.path);
    }
    for (const IndexEntry& entry : sorted.kept) {
        plan.entries.push_back(entry.json);
    }
    for (const IndexEntry& entry : sorted.dropped) {
        plan.collected.index_entries.push_back(entry.digest->to_string());
    }
    return plan;
}

void remove(const std::vector<fs::path>& files, const fs::path& folder, const std::stop_token& stop)
{
    for (const fs::path& file : files) {
        throw_if_interrupted(stop);
        if (::unlink(file.c_str()) != 0 && errno != ENOENT) {
            throw system_error(errno, fmt::format("removing {}", file.native()));
        }
    }
    if (!files.empty()) {
        sync_directory(folder);
    }
}

Json details_of(const Collected& collected)
{
    constexpr std::size_t most_named = 1000;
    Json digests = Json::array();
    for (const Collected::Blob& blob : collected.blobs) {
        if (digests.size() < most_named) {
            digests.push_back(blob.digest.to_string());
        }
    }
    return {{"blobs", collected.blobs.size()},
            {"freed", collected.freed.bytes()},
            {"index_entries", collected.index_entries.size()},
            {"leftovers", collected.leftovers.size()},
            {"digests", digests}};
}

} // namespace

Collected Region::collect(const CollectOptions& options)
{
    const bundle::Layout& layout = state_->layout;
    const fs::path blob_folder = layout.blob_path(digest_of("")).parent_path();
    const FileLock lock(lock_file(state_->folder), FileLock::Wait::block);
    const std::vector<Image> images =
        trustworthy_rows(name(), state_->catalogue, state_->events(), keys_of(options.trust));
    std::vector<IndexEntry> entries = index_entries(layout.entries());
    require_whole_index(name(), entries, images);
    Needs needs(layout);
    for (const Image& image : images) {
        needs.add_image(image);
    }
    throw_if_interrupted(options.stop);

    const FileLock no_new_leases(leases_lock(state_->folder), FileLock::Wait::block);
    const Leases leases = read_leases(state_->folder);
    std::set<Digest> in_use = leases.digests;
    for (const Digest& layer : options.layers_in_use ? options.layers_in_use() : std::vector<Digest>()) {
        in_use.insert(layer);
    }
    const std::size_t catalogued = needs.users().size();
    for (const Digest& digest : in_use) {
        if (fs::exists(layout.blob_path(digest))) {
            needs.add(digest, "a running process or an instance");
        }
    }
    const std::size_t leased = needs.users().size() - catalogued;
    const Needs::Sorted sorted = needs.add_entries(std::move(entries));
    if (!needs.unreadable().empty()) {
        throw unsure(name(), needs.unreadable().front().why);
    }
    const std::vector<BlobFile> blobs = blob_files(blob_folder);
    keep_attached(needs, layout, blobs);

    Plan plan = plan_removal(blobs, needs, sorted);
    Collected& collected = plan.collected;
    collected.leased = leased;
    if (images.empty() && !collected.blobs.empty()) {
        throw unsure(name(),
                     fmt::format("the catalogue names no image, and there are {} blobs", collected.blobs.size()),
                     "restore catalogue.sqlite from a backup; if the region never had an image, publish one first");
    }
    const std::vector<fs::path> leftovers = leftovers_in(state_->folder);
    const fs::path partial = state_->folder / "partial";
    for (const fs::path& part : remote::PartialBlob::abandoned(partial)) {
        collected.leftovers.push_back(part.lexically_relative(state_->folder).native());
    }
    for (const fs::path& leftover : leftovers) {
        collected.leftovers.push_back(leftover.lexically_relative(state_->folder).native());
    }
    for (const fs::path& dead : leases.dead) {
        collected.leftovers.push_back(dead.lexically_relative(state_->folder).native());
    }
    const bool nothing = collected.blobs.empty() && collected.index_entries.empty() && collected.leftovers.empty();
    if (options.dry_run || nothing) {
        return collected;
    }
    // The log tells what is going to happen, so that it does when we are killed.
    note({.action = "collect", .account = options.account, .details = details_of(collected)});
    if (!collected.index_entries.empty()) {
        layout.replace_entries(plan.entries);
    }
    remove(plan.files, blob_folder, options.stop);
    for (const fs::path& leftover : leftovers) {
        fs::remove_all(leftover);
    }
    remote::PartialBlob::sweep(partial);
    for (const fs::path& dead : leases.dead) {
        fs::remove(dead);
    }
    return collected;
}

} // namespace kiln::registry
