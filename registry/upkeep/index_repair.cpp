// SPDX-License-Identifier: Apache-2.0
#include "registry/upkeep/index_repair.h"

#include "core/error.h"
#include "core/timestamp.h"
#include "registry/bundle_transfer.h"
#include "registry/envelope.h"
#include "registry/region_state.h"
#include "signing/base64.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

namespace kiln::registry
{
namespace
{

IndexEntry make_entry(const Digest& digest, ByteSize size, std::string_view type, const Json& annotations)
{
    return index_entries(Json::array({{{"mediaType", bundle::oci_manifest_type},
                                       {"artifactType", type},
                                       {"digest", digest.to_string()},
                                       {"size", size.bytes()},
                                       {"annotations", annotations}}}))
        .front();
}

// The blobs that may be manifests of attachments or components, by digest.
std::map<Digest, std::string> small_manifests(const bundle::Layout& layout, const BlobAudit& audit)
{
    std::map<Digest, std::string> found;
    for (const auto& [digest, blob] : audit.blobs) {
        if (blob.fault || blob.size > largest_attached_manifest) {
            continue;
        }
        try {
            std::string bytes = layout.read_verified(digest, largest_attached_manifest);
            if (references_of(bytes)) {
                found.emplace(digest, std::move(bytes));
            }
        } catch (const Error&) { // gone meanwhile
        }
    }
    return found;
}

// Name, version and account as a component's signature says, unverified.
std::optional<Json> claimed_by_signature(const bundle::Layout& layout, const std::string& signature)
{
    try {
        const auto attached = bundle::parse_attached_oci_manifest(signature, bundle::signature_artifact_type);
        const Json envelope = parse_json(layout.read_verified(attached.envelope.digest), "envelope");
        const auto payload = signing::parse_base64(string_member(envelope, "payload", "envelope"));
        const Json statement = parse_json(payload.value_or(""), "statement");
        const Json& predicate = member(statement, "predicate", "statement");
        static_cast<void>(string_member(predicate, "name", "statement"));
        static_cast<void>(string_member(predicate, "version", "statement"));
        return signing::is_account_id(string_member(predicate, "account", "statement")) ? std::optional(predicate)
                                                                                        : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::string written_at(const std::filesystem::path& file)
{
    const auto time = std::chrono::file_clock::to_sys(std::filesystem::last_write_time(file));
    return iso_time(std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
}

// A component whose entry is lost; when it was published is not in what is signed, and is told by its file.
std::optional<IndexEntry> recovered_component(const bundle::Layout& layout, const Digest& digest, ByteSize size,
                                              const std::map<Digest, std::string>& manifests,
                                              const signing::TrustStore& trust)
{
    for (const auto& [attached, bytes] : manifests) {
        if (references_of(bytes)->subject != digest) {
            continue;
        }
        const auto claim = claimed_by_signature(layout, bytes);
        if (!claim) {
            continue;
        }
        Component component{
            .name = claim->at("name").get<std::string>(),
            .version = parse_semantic_version(claim->at("version").get<std::string>()).value_or(SemanticVersion()),
            .owner = claim->at("account").get<std::string>(),
            .manifest = digest,
            .published = written_at(layout.blob_path(digest))};
        if (is_signed_component(component, layout, attached, trust)) {
            return make_entry(digest, size, bundle::component_artifact_type, index_annotations(component));
        }
    }
    return std::nullopt;
}

std::vector<IndexEntry> missing_components(const bundle::Layout& layout, const BlobAudit& audit,
                                           const std::map<Digest, std::string>& manifests,
                                           const std::set<Digest>& indexed, const signing::TrustStore& trust)
{
    std::vector<IndexEntry> found;
    for (const auto& [digest, bytes] : manifests) {
        if (indexed.contains(digest) || references_of(bytes)->type != bundle::component_artifact_type) {
            continue;
        }
        if (auto entry = recovered_component(layout, digest, audit.blobs.at(digest).size, manifests, trust)) {
            found.push_back(*std::move(entry));
        }
    }
    return found;
}

} // namespace

IndexState examine_index(Needs& needs, const bundle::Layout& layout, const std::vector<Image>& images,
                         const BlobAudit& audit, const signing::TrustStore& trust)
{
    IndexState state;
    try {
        state.entries = index_entries(layout.entries());
    } catch (const Error& error) {
        state.unreadable = error.what();
    }
    std::set<Digest> indexed;
    for (const IndexEntry& entry : state.entries) {
        if (entry.digest) {
            indexed.insert(*entry.digest);
        }
    }
    const auto miss = [&](IndexEntry entry, std::string what) {
        state.missing.push_back(std::move(entry));
        state.lacks.push_back(std::move(what));
    };
    for (const Image& image : images) {
        if (image.state != ImageState::deregistered && !indexed.contains(image.manifest)) {
            const auto blob = audit.blobs.find(image.manifest);
            miss(make_entry(image.manifest, blob != audit.blobs.end() ? blob->second.size : ByteSize(),
                            bundle::ami_artifact_type, {{bundle::reference_name_annotation, reference_name(image)}}),
                 title_of(image));
        }
    }
    const std::map<Digest, std::string> manifests = small_manifests(layout, audit);
    if (state.unreadable || !state.missing.empty()) {
        for (IndexEntry& entry : missing_components(layout, audit, manifests, indexed, trust)) {
            const std::string title = entry.title;
            miss(std::move(entry), title);
        }
    }
    std::vector<IndexEntry> all = state.entries;
    all.insert(all.end(), state.missing.begin(), state.missing.end());
    static_cast<void>(needs.add_entries(std::move(all)));
    for (const auto& [digest, bytes] : manifests) {
        const References references = *references_of(bytes);
        if (!indexed.contains(digest) && references.type != bundle::ami_artifact_type && references.subject &&
            needs.add_attached(digest, bytes)) {
            const auto users = needs.users_of(digest);
            miss(make_entry(digest, audit.blobs.at(digest).size, references.type,
                            {{bundle::subject_annotation, references.subject->to_string()}}),
                 fmt::format("an attachment of {}", users.empty() ? references.subject->to_string() : users.front()));
        }
    }
    for (const Needs::Unreadable& unreadable : needs.unreadable()) {
        const auto blob = audit.blobs.find(unreadable.digest);
        if (blob != audit.blobs.end() && !blob->second.fault && indexed.contains(unreadable.digest)) {
            state.senseless.push_back(unreadable.digest);
        }
    }
    return state;
}

Json repaired_entries(const IndexState& state)
{
    Json entries = Json::array();
    for (const IndexEntry& entry : state.entries) {
        if (!entry.digest || std::ranges::find(state.senseless, *entry.digest) == state.senseless.end()) {
            entries.push_back(entry.json);
        }
    }
    for (const IndexEntry& entry : state.missing) {
        if (entry.json.at("size") != 0) { // of a manifest that is missing as well
            entries.push_back(entry.json);
        }
    }
    return entries;
}

} // namespace kiln::registry
