// SPDX-License-Identifier: Apache-2.0
// A check locks nothing out: a lease keeps the blobs of the images at hand, and what others add meanwhile is not looked
// at. A repair holds the region's lock, and looks at each damage again before it touches it.
#include "registry/upkeep/check.h"

#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "registry/region_state.h"
#include "registry/upkeep/blob_audit.h"
#include "registry/upkeep/index_repair.h"
#include "registry/upkeep/needs.h"
#include "registry/upkeep/quarantine.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

bool is_known(const CheckReport& report, std::string_view kind, const std::string& subject)
{
    return std::ranges::any_of(report.damages,
                               [&](const Damage& damage) { return damage.kind == kind && damage.subject == subject; });
}

std::set<std::string> ids_of(const std::vector<Image>& images)
{
    std::set<std::string> ids;
    for (const Image& image : images) {
        ids.insert(image.id);
    }
    return ids;
}

} // namespace

bool CheckReport::whole() const
{
    return std::ranges::all_of(damages, &Damage::healed);
}

std::vector<Damage> check_layout_file(const fs::path& region_folder, bool repair)
{
    const fs::path file = region_folder / "oci-layout";
    if (!fs::exists(file)) {
        return {};
    }
    std::string fault = "it does not say that this is an OCI image layout of version 1.0.0";
    try {
        const Json json = parse_json(read_file(file, mebibytes(1)), "oci-layout");
        if (json.is_object() && json.value("imageLayoutVersion", Json()) == "1.0.0") {
            return {};
        }
    } catch (const Error& error) {
        fault = error.what();
    }
    Damage damage{.kind = "index", .subject = "oci-layout", .detail = fault};
    if (repair) {
        const FileLock lock(lock_file(region_folder), FileLock::Wait::block);
        // Replaced, not set aside: without it there is no region.
        write_file_durably(file, bundle::oci_layout_file);
        damage.repair = "written anew";
        damage.healed = true;
    }
    return {damage};
}

// One check, which may become a repair.
class Region::Inspection
{
public:
    Inspection(const Region& region, const CheckOptions& options) : region_(region), options_(options) { read_rows(); }

    CheckReport run()
    {
        check_events();
        audit_ = audit_blobs(layout(), options_.progress, options_.stop);
        report_.blobs = audit_.blobs.size();
        report_.bytes = audit_.bytes;
        note_damaged_blobs();
        note_needs();
        if (options_.repair && !report_.whole()) {
            repair();
        }
        return std::move(report_);
    }

private:
    [[nodiscard]] const bundle::Layout& layout() const { return region_.state_->layout; }
    [[nodiscard]] const fs::path& folder() const { return region_.state_->folder; }
    [[nodiscard]] const Catalogue& catalogue() const { return region_.state_->catalogue; }

    void found(std::string kind, std::string subject, std::string detail, std::vector<std::string> images = {})
    {
        if (!is_known(report_, kind, subject)) {
            report_.damages.push_back({std::move(kind), std::move(subject), std::move(detail), std::move(images)});
        }
    }

    // Those that were there before the lease was taken and still are after it: a collection between has nothing of
    // them.
    void read_rows()
    {
        try {
            for (const std::string& damage : catalogue().damage()) {
                found("catalogue", "catalogue.sqlite", damage);
            }
            const std::vector<Image> before = catalogue().all_images();
            std::vector<Digest> manifests;
            manifests.reserve(before.size());
            for (const Image& image : before) {
                manifests.push_back(image.manifest);
            }
            lease_ = region_.lease(manifests);
            const std::set<std::string> leased = ids_of(before);
            images_ = catalogue().all_images();
            std::erase_if(images_, [&](const Image& image) { return !leased.contains(image.id); });
            report_.images = static_cast<std::size_t>(std::ranges::count_if(
                images_, [](const Image& image) { return image.state != ImageState::deregistered; }));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::io) {
                throw;
            }
            found("catalogue", "catalogue.sqlite", error.what());
            rows_known_ = false;
        }
    }

    void check_events()
    {
        const EventLog log = region_.state_->events();
        const signing::KeysOfAccount keys = keys_of(options_.trust);
        std::set<std::string> claims; // images with an event that nobody trusted signed
        std::set<std::string> accounts;
        const std::set<std::string> ids = ids_of(images_);
        try {
            log.catch_up(keys);
            log.each(keys, [&](const StoredEvent& stored, const signing::ReadEvent& read) {
                ++report_.events;
                if (!read.verified) {
                    claims.insert(stored.image);
                    accounts.insert(read.event.account);
                }
                if (rows_known_ && !ids.contains(stored.image) && !catalogue().find_id(stored.image)) {
                    found("catalogue", stored.image,
                          fmt::format("event {} is about an image without a row", stored.number));
                }
            });
        } catch (const Error& error) {
            found("events", region_.name(), error.what());
            return;
        }
        report_.unverified.assign(accounts.begin(), accounts.end());
        for (const Image& image : images_) {
            throw_if_interrupted(options_.stop);
            if (!claims.contains(image.id)) {
                check_row(image);
            }
        }
    }

    void check_row(const Image& image)
    {
        std::optional<bundle::Manifest> manifest;
        try {
            manifest = region_.load_manifest(image);
        } catch (const Error&) { // its blobs tell
            return;
        }
        try {
            static_cast<void>(region_.explained(image, *manifest, options_.trust));
        } catch (const Error& error) {
            found("events", image.id, error.what(), {title_of(image)});
        }
    }

    void note_damaged_blobs()
    {
        for (const std::string& name : audit_.strays) {
            found("stray-file", "blobs/sha256/" + name, "its name is not the digest of a blob");
        }
        for (const auto& [digest, blob] : audit_.blobs) {
            if (blob.fault) {
                found("blob", digest.to_string(), *blob.fault);
            }
        }
    }

    // Whether it was damaged, is set aside, and could not be restored.
    [[nodiscard]] bool is_told(const Digest& digest) const
    {
        return std::ranges::any_of(report_.damages, [&](const Damage& damage) {
            return damage.kind == "blob" && damage.subject == digest.to_string() && !damage.healed;
        });
    }

    // What is missing, by what is there; and who needs what is damaged.
    void note_needs()
    {
        Needs needs(layout());
        for (const Image& image : images_) {
            needs.add_image(image);
        }
        index_ = examine_index(needs, layout(), images_, audit_, options_.trust);
        if (index_.unreadable) {
            found("index", "index.json", *index_.unreadable);
        }
        for (const std::string& what : index_.lacks) {
            found("index", "index.json: " + what, fmt::format("index.json lacks {}", what));
        }
        for (const Digest& digest : index_.senseless) {
            found("index", digest.to_string(), "index.json names it as a manifest, which it is not");
        }
        for (Damage& damage : report_.damages) {
            if (const auto digest = Digest::parse(damage.subject)) {
                damage.images = needs.users_of(*digest);
            }
        }
        report_.garbage = 0;
        for (const auto& [digest, blob] : audit_.blobs) {
            report_.garbage += !blob.fault && !needs.has(digest) ? 1 : 0;
        }
        for (const auto& [digest, users] : needs.users()) {
            if (!audit_.blobs.contains(digest) && !is_told(digest) &&
                !fs::exists(fs::symlink_status(layout().blob_path(digest)))) {
                found("missing-blob", digest.to_string(), "it is missing", needs.users_of(digest));
            }
        }
    }

    void repair()
    {
        const FileLock lock(lock_file(folder()), FileLock::Wait::block);
        // A manifest that comes back may tell of more blobs that are missing.
        for (std::size_t repaired = 0; repaired < report_.damages.size();) {
            for (; repaired < report_.damages.size(); ++repaired) {
                throw_if_interrupted(options_.stop);
                repair_file(report_.damages[repaired]);
            }
            if (rows_known_) {
                note_needs();
            }
        }
        if (rows_known_) {
            repair_index();
        }
        Json actions = Json::array();
        for (const Damage& damage : report_.damages) {
            actions.push_back({{"kind", damage.kind},
                               {"subject", damage.subject},
                               {"repair", damage.repair.empty() ? Json() : Json(damage.repair)},
                               {"healed", damage.healed}});
        }
        region_.note({.action = "repair", .account = options_.account, .details = {{"damages", actions}}});
    }

    void repair_file(Damage& damage)
    {
        if (damage.kind == "stray-file") {
            damage.repair = "set aside as " + set_aside(folder(), folder() / damage.subject);
            damage.healed = true;
            return;
        }
        if (damage.kind != "blob" && damage.kind != "missing-blob") {
            return;
        }
        const Digest digest = Digest::parse(damage.subject).value();
        const fs::path file = layout().blob_path(digest);
        if (!fault_of_blob(file, digest)) {
            damage.repair = "somebody has stored it anew";
            damage.healed = true;
        } else {
            if (fs::exists(fs::symlink_status(file))) {
                damage.repair = "set aside as " + set_aside(folder(), file);
            }
            const Healing healing = restore_blob(folder(), layout(), digest, options_.sources);
            const bool unneeded = damage.images.empty() && damage.kind == "blob" && rows_known_;
            damage.repair += (damage.repair.empty() ? "" : ", ") + (unneeded ? "nothing needs it" : healing.told);
            damage.healed = healing.healed || unneeded;
        }
        if (damage.healed && fs::exists(file)) {
            audit_.blobs.insert_or_assign(digest, BlobAudit::Blob{ByteSize(fs::file_size(file)), std::nullopt});
        } else {
            audit_.blobs.erase(digest);
        }
    }

    void repair_index()
    {
        const bool wrong = index_.unreadable || !index_.missing.empty() || !index_.senseless.empty();
        if (!wrong) {
            return;
        }
        std::string told = "written anew";
        if (index_.unreadable && fs::exists(folder() / "index.json")) {
            told += ", the old one set aside as " + set_aside(folder(), folder() / "index.json");
        }
        layout().replace_entries(repaired_entries(index_));
        for (Damage& damage : report_.damages) {
            if (damage.kind == "index" && !damage.healed) {
                damage.repair = told;
                damage.healed = true;
            }
        }
    }

    const Region& region_;
    const CheckOptions& options_;
    std::vector<Image> images_;
    bool rows_known_ = true; // else nothing that is not in them can be called unneeded
    Lease lease_;
    BlobAudit audit_;
    IndexState index_;
    CheckReport report_;
};

CheckReport Region::check(const CheckOptions& options)
{
    return Inspection(*this, options).run();
}

} // namespace kiln::registry
