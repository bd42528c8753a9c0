// SPDX-License-Identifier: Apache-2.0
#include "registry/upkeep/needs.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::registry
{
namespace
{

constexpr int deepest_index = 8;

std::string text_of(const Json& object, std::string_view key)
{
    const auto found = object.is_object() ? object.find(std::string(key)) : object.end();
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json child_of(const Json& object, std::string_view key)
{
    const auto found = object.is_object() ? object.find(std::string(key)) : object.end();
    return found != object.end() ? *found : Json();
}

void add_digests(std::vector<Digest>& digests, const Json& descriptors)
{
    for (const Json& descriptor : descriptors.is_array() ? descriptors : Json::array()) {
        if (const auto digest = Digest::parse(text_of(descriptor, "digest"))) {
            digests.push_back(*digest);
        }
    }
}

std::string title_of_entry(const Json& entry)
{
    const Json annotations = child_of(entry, "annotations");
    return printable(fmt::format("component {}@{}", text_of(annotations, "org.opencontainers.image.title"),
                                 text_of(annotations, "org.opencontainers.image.version")),
                     false);
}

} // namespace

std::optional<References> references_of(std::string_view bytes)
{
    try {
        const Json json = parse_json(bytes, "manifest");
        if (!json.is_object() || child_of(json, "schemaVersion") != 2) {
            return std::nullopt;
        }
        References references{.type = text_of(json, "artifactType"),
                              .subject = Digest::parse(text_of(child_of(json, "subject"), "digest")),
                              .blobs = {},
                              .manifests = {}};
        if (const auto config = Digest::parse(text_of(child_of(json, "config"), "digest"))) {
            references.blobs.push_back(*config);
        }
        add_digests(references.blobs, child_of(json, "layers"));
        add_digests(references.manifests, child_of(json, "manifests"));
        return references;
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::vector<IndexEntry> index_entries(const Json& entries)
{
    std::vector<IndexEntry> result;
    for (const Json& json : entries) {
        IndexEntry entry{.digest = Digest::parse(text_of(json, "digest")),
                         .type = text_of(json, "artifactType"),
                         .subject = Digest::parse(text_of(child_of(json, "annotations"), bundle::subject_annotation)),
                         .title = {},
                         .json = json};
        if (entry.type == bundle::component_artifact_type) {
            entry.title = title_of_entry(json);
        }
        result.push_back(std::move(entry));
    }
    return result;
}

std::string title_of(const Image& image)
{
    return fmt::format("{} {} ({})", image.name, image.version.to_string(), image.id);
}

void Needs::use(const Digest& digest, const std::set<std::string>& users)
{
    users_[digest].insert(users.begin(), users.end());
}

std::optional<References> Needs::read(const Digest& manifest)
{
    try {
        if (auto references = references_of(layout_.read_verified(manifest))) {
            return references;
        }
        unreadable_.push_back({manifest, fmt::format("the blob {} is no manifest", manifest.to_string())});
    } catch (const Error& error) {
        unreadable_.push_back({manifest, error.what()});
    }
    return std::nullopt;
}

void Needs::add_image(const Image& image)
{
    const std::set<std::string> user{title_of(image)};
    use(image.manifest, user);
    const bool deregistered = image.state == ImageState::deregistered;
    if (!deregistered) {
        subjects_[image.manifest].insert(user.begin(), user.end());
    }
    if (!deregistered) {
        expanded_.insert(image.manifest);
    }
    const auto references = read(image.manifest);
    if (!references) {
        if (deregistered) {
            unreadable_.pop_back(); // nothing but its history needs it
        }
        return;
    }
    // The first is the configuration, which is the AMI's manifest.
    const std::size_t wanted =
        deregistered ? std::min<std::size_t>(1, references->blobs.size()) : references->blobs.size();
    for (std::size_t i = 0; i < wanted; ++i) {
        use(references->blobs[i], user);
    }
}

void Needs::add(const Digest& digest, const std::string& user)
{
    use(digest, {user});
    try {
        const auto references = references_of(layout_.read_verified(digest, mebibytes(4)));
        if (references && !references->blobs.empty()) {
            subjects_[digest].insert(user);
            add_tree(digest, {user}, 0);
        }
    } catch (const Error&) { // a layer, or one that is not there: its holder will notice
    }
}

void Needs::add_tree(const Digest& manifest, const std::set<std::string>& users, int depth)
{
    use(manifest, users);
    if (depth == deepest_index || !expanded_.insert(manifest).second) {
        return;
    }
    const auto references = read(manifest);
    if (!references) {
        return;
    }
    for (const Digest& blob : references->blobs) {
        use(blob, users);
    }
    for (const Digest& child : references->manifests) {
        add_tree(child, users, depth + 1);
    }
}

// nullopt: nobody. What is no image of ours, no attachment and no component came from another tool, and stays.
std::optional<std::set<std::string>> Needs::users_of_entry(const IndexEntry& entry) const
{
    const auto users = [&](const Digest& manifest) {
        const auto found = subjects_.find(manifest);
        return found == subjects_.end() ? std::nullopt : std::optional(found->second);
    };
    if (entry.type == bundle::ami_artifact_type) {
        return users(*entry.digest);
    }
    if (entry.type == bundle::component_artifact_type) {
        return std::set{entry.title};
    }
    if (entry.subject) {
        return users(*entry.subject);
    }
    try {
        const auto references = references_of(layout_.read_verified(*entry.digest));
        if (references && references->subject) {
            return users(*references->subject);
        }
    } catch (const Error&) { // kept, and then noted as unreadable
    }
    return std::set<std::string>{"an entry of index.json that another tool made"};
}

Needs::Sorted Needs::add_entries(std::vector<IndexEntry> entries)
{
    Sorted sorted;
    // Something may be attached to an attachment that comes later in the index.
    for (bool more = true; more;) {
        more = false;
        std::vector<IndexEntry> undecided;
        for (IndexEntry& entry : entries) {
            const auto users = entry.digest ? users_of_entry(entry) : std::set<std::string>();
            if (!users) {
                undecided.push_back(std::move(entry));
                continue;
            }
            more = true;
            if (entry.digest) {
                subjects_[*entry.digest].insert(users->begin(), users->end());
                add_tree(*entry.digest, *users, 0);
            }
            sorted.kept.push_back(std::move(entry));
        }
        entries = std::move(undecided);
    }
    sorted.dropped = std::move(entries);
    return sorted;
}

bool Needs::add_attached(const Digest& digest, std::string_view bytes)
{
    const auto references = references_of(bytes);
    const auto found = references && references->subject ? subjects_.find(*references->subject) : subjects_.end();
    if (found == subjects_.end()) {
        return false;
    }
    const std::set<std::string> users = found->second;
    use(digest, users);
    for (const Digest& blob : references->blobs) {
        use(blob, users);
    }
    return true;
}

std::vector<std::string> Needs::users_of(const Digest& digest) const
{
    const auto found = users_.find(digest);
    return found == users_.end() ? std::vector<std::string>()
                                 : std::vector<std::string>(found->second.begin(), found->second.end());
}

std::set<std::string> Needs::users_of_subject(const Digest& manifest) const
{
    const auto found = subjects_.find(manifest);
    return found == subjects_.end() ? std::set<std::string>() : found->second;
}

} // namespace kiln::registry
