// SPDX-License-Identifier: Apache-2.0
// The OCI image layout on disk. A new blob is written in staging/, which other OCI tools don't look
// at, and renamed into blobs/sha256 when it is whole.
#include "bundle/oci.h"

#include "bundle/index_append.h"
#include "bundle/index_scan.h"
#include "core/error.h"
#include "core/files.h"
#include "core/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace kiln::bundle
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_index = mebibytes(64);
constexpr mode_t blob_mode = 0444;

fs::path staging_of(const fs::path& folder)
{
    return folder / "staging";
}

bool is_intact(const fs::path& blob, std::string_view bytes)
{
    try {
        return fs::is_regular_file(fs::symlink_status(blob)) && read_file(blob, ByteSize(bytes.size())) == bytes;
    } catch (const Error&) {
        return false;
    }
}

// Nobody can open it for writing from here on; returns its size.
ByteSize make_read_only(const fs::path& file)
{
    const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {
    };
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        throw system_error(errno, fmt::format("opening {}", file.native()));
    }
    if (!S_ISREG(status.st_mode)) {
        throw Error(ErrorKind::io, fmt::format("{} is not a regular file and can't become a blob", file.native()));
    }
    if (::fchmod(fd.get(), blob_mode) != 0) {
        throw system_error(errno, fmt::format("making {} read-only", file.native()));
    }
    return ByteSize(static_cast<std::uint64_t>(status.st_size));
}

std::string text_of(const Json& object, std::string_view key)
{
    const auto found = object.is_object() ? object.find(std::string(key)) : object.end();
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string annotation_of(const Json& entry, std::string_view key)
{
    const auto found = entry.is_object() ? entry.find("annotations") : entry.end();
    return found == entry.end() ? std::string() : text_of(*found, key);
}

// An index has one image of a reference name; the newest.
void take_reference_name(Json& entries, const std::string& name)
{
    for (Json& entry : entries) {
        if (!name.empty() && annotation_of(entry, reference_name_annotation) == name) {
            entry["annotations"].erase(std::string(reference_name_annotation));
        }
    }
}

Json json_of(const Layout::NewEntry& entry)
{
    return {{"mediaType", entry.manifest.media_type},
            {"artifactType", entry.artifact_type},
            {"digest", entry.manifest.digest.to_string()},
            {"size", entry.manifest.size.bytes()},
            {"annotations", entry.annotations}};
}

// Whether that changed anything.
bool merge(Json& entries, const Json& entry)
{
    if (std::find(entries.begin(), entries.end(), entry) != entries.end()) {
        return false;
    }
    take_reference_name(entries, annotation_of(entry, reference_name_annotation));
    Json others = Json::array();
    for (const Json& known : entries) {
        if (text_of(known, "digest") != text_of(entry, "digest")) {
            others.push_back(known);
        }
    }
    others.push_back(entry);
    entries = std::move(others);
    return true;
}

Json parse_index(const std::string& text, const fs::path& folder)
{
    Json index = parse_json(text, "index.json");
    if (!index.is_object() || !index.contains("manifests") || !index["manifests"].is_array()) {
        throw Error(ErrorKind::io, fmt::format("{}/index.json is not an OCI image index", folder.native()));
    }
    return index;
}

// The general case of add_to_index(): an entry that is there stays, one of the same digest or name is replaced.
std::string merged_index(const std::string& text, const std::vector<Layout::NewEntry>& added, const fs::path& folder)
{
    Json index = parse_index(text, folder);
    bool changed = false;
    for (const Layout::NewEntry& one : added) {
        changed = merge(index["manifests"], json_of(one)) || changed;
    }
    return changed ? canonical_json(index) : text;
}

} // namespace

Layout::Layout(fs::path folder, bool create) : folder_(std::move(folder))
{
    if (fs::exists(folder_ / "oci-layout")) {
        const Json json = parse_json(read_file(folder_ / "oci-layout", mebibytes(1)), "oci-layout");
        if (text_of(json, "imageLayoutVersion") != "1.0.0") {
            throw Error(ErrorKind::io, fmt::format("{} is not an OCI image layout of version 1.0.0", folder_.native()));
        }
        return;
    }
    if (!create) {
        throw Error(ErrorKind::not_found, fmt::format("{} holds no OCI image layout", folder_.native()));
    }
    make_directories(folder_ / "blobs" / "sha256");
    make_directories(staging_of(folder_), 0700);
    if (!fs::exists(folder_ / "index.json")) {
        replace_entries(Json::array());
    }
    sync_directory(folder_ / "blobs");
    // The file that makes it a layout comes last.
    write_file_durably(folder_ / "oci-layout", oci_layout_file);
}

fs::path Layout::blob_path(const Digest& digest) const
{
    return folder_ / "blobs" / "sha256" / digest.hex();
}

Descriptor Layout::put(std::string_view bytes, std::string_view media_type) const
{
    Descriptor descriptor{std::string(media_type), digest_of(bytes), ByteSize(bytes.size())};
    const fs::path blob = blob_path(descriptor.digest);
    if (!is_intact(blob, bytes)) {
        make_directories(staging_of(folder_), 0700);
        const fs::path staged = staging_of(folder_) / random_hex(16);
        write_file_durably(staged, bytes, blob_mode);
        publish_file(staged, blob);
    }
    return descriptor;
}

Descriptor Layout::put_file(const fs::path& from, std::string_view media_type) const
{
    const ByteSize size = make_read_only(from);
    Descriptor descriptor{std::string(media_type), digest_of_file(from), size};
    publish_file(from, blob_path(descriptor.digest));
    return descriptor;
}

std::string Layout::read_verified(const Digest& digest, ByteSize limit) const
{
    std::string bytes;
    try {
        bytes = read_file(blob_path(digest), limit);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) {
            throw;
        }
        throw Error(ErrorKind::not_found, fmt::format("the blob {} is missing", digest.to_string()),
                    "the registry lost a file; build or import the image again");
    }
    const Digest actual = digest_of(bytes);
    if (actual != digest) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("the blob {} is damaged or was changed: its content has the digest {}",
                                digest.to_string(), actual.to_string()),
                    "build or import the image again");
    }
    return bytes;
}

std::string Layout::index_text() const
{
    return read_index(folder_ / "index.json", largest_index);
}

Json Layout::entries() const
{
    return parse_index(index_text(), folder_)["manifests"];
}

void Layout::replace_entries(const Json& entries) const
{
    write_file_durably(folder_ / "index.json",
                       canonical_json({{"schemaVersion", 2}, {"mediaType", oci_index_type}, {"manifests", entries}}));
}

void Layout::add_to_index(const Descriptor& manifest, std::string_view artifact_type, const Json& annotations) const
{
    add_to_index({{manifest, artifact_type, annotations}});
}

void Layout::add_to_index(const std::vector<NewEntry>& entries) const
{
    std::vector<Json> added;
    std::vector<std::string> taken;
    for (const NewEntry& one : entries) {
        added.push_back(json_of(one));
        if (std::ranges::find(taken, one.manifest.digest.to_string()) != taken.end()) {
            taken.clear(); // one digest twice: not the simple case
            break;
        }
        taken.push_back(one.manifest.digest.to_string());
        if (const std::string name = annotation_of(added.back(), reference_name_annotation); !name.empty()) {
            taken.push_back(Json(name).dump());
        }
    }
    const fs::path index = folder_ / "index.json";
    if (!taken.empty() && append_to_index(index, added, taken)) {
        return;
    }
    const std::string text = index_text();
    if (const std::string changed = merged_index(text, entries, folder_); changed != text) {
        write_file_durably(index, changed);
    }
}

std::vector<Layout::Entry> Layout::find_all(std::string_view artifact_type) const
{
    std::vector<Entry> found;
    each_index_entry(index_text(), [&](std::string_view text) {
        if (text.find(artifact_type) == std::string_view::npos && text.find('\\') == std::string_view::npos) {
            return;
        }
        const Json entry = parse_json(text, "index.json");
        const auto digest = Digest::parse(text_of(entry, "digest"));
        if (!digest || text_of(entry, "artifactType") != artifact_type) {
            return;
        }
        found.push_back({*digest, {}});
        if (const auto annotations = entry.find("annotations");
            annotations != entry.end() && annotations->is_object()) {
            for (const auto& [name, value] : annotations->items()) {
                found.back().annotations.emplace(name, value.is_string() ? value.get<std::string>() : std::string());
            }
        }
    });
    return found;
}

std::vector<Digest> Layout::find_attached(const Digest& manifest, std::string_view artifact_type) const
{
    std::vector<Digest> found;
    each_index_entry(index_text(), [&](std::string_view text) {
        // Only what has no subject, or this one; and what is written in an unusual way.
        if (text.find(subject_annotation) != std::string_view::npos &&
            text.find(manifest.hex()) == std::string_view::npos && text.find('\\') == std::string_view::npos) {
            return;
        }
        const Json entry = parse_json(text, "index.json");
        const auto digest = Digest::parse(text_of(entry, "digest"));
        const std::string subject = annotation_of(entry, subject_annotation);
        if (!digest || text_of(entry, "artifactType") != artifact_type) {
            return;
        }
        if (!subject.empty() && subject != manifest.to_string()) {
            return;
        }
        try {
            if (parse_attached_oci_manifest(read_verified(*digest), artifact_type).subject.digest == manifest) {
                found.push_back(*digest);
            }
        } catch (const Error&) {
            if (!subject.empty()) {
                found.push_back(*digest);
            }
        }
    });
    return found;
}

void Layout::sweep_abandoned() const
{
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(staging_of(folder_), ignored)) {
        fs::remove_all(entry.path(), ignored);
    }
}

} // namespace kiln::bundle
