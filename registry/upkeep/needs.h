// SPDX-License-Identifier: Apache-2.0
// Which blobs of a region are needed, and by whom: what a collection keeps, and what a check looks for. Private to
// registry/. An entry of the index is not trusted: it can only keep blobs, and what its manifest is about counts more
// than what it says itself.
#pragma once

#include "bundle/oci.h"
#include "registry/region.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

// What any OCI manifest or index names.
struct References {
    std::string type; // artifact type
    std::optional<Digest> subject;
    std::vector<Digest> blobs;     // config and layers
    std::vector<Digest> manifests; // of an index
};
// nullopt for what is neither.
[[nodiscard]] std::optional<References> references_of(std::string_view bytes);

// What an entry of index.json says; `digest` is nullopt for one that has none.
struct IndexEntry {
    std::optional<Digest> digest;
    std::string type;
    std::optional<Digest> subject;
    std::string title; // of a component: "component web@1.0.0"
    Json json;
};
[[nodiscard]] std::vector<IndexEntry> index_entries(const Json& entries);

// "web 1.0.0 (ami-...)"
[[nodiscard]] std::string title_of(const Image& image);

// No manifest of an attachment is larger.
inline constexpr ByteSize largest_attached_manifest{65'536};

class Needs
{
public:
    explicit Needs(const bundle::Layout& layout) : layout_(layout) {}

    // Of a deregistered one just the documents that explain its events.
    void add_image(const Image& image);
    // A blob, and where it is a manifest all that it names.
    void add(const Digest& digest, const std::string& user);
    // The entries that something keeps, with all that they name; the others.
    struct Sorted {
        std::vector<IndexEntry> kept;
        std::vector<IndexEntry> dropped;
    };
    Sorted add_entries(std::vector<IndexEntry> entries);
    // When `bytes`, of the blob `digest`, are a manifest about something that is needed, it is needed too, whatever the
    // index says. Returns whether it is.
    bool add_attached(const Digest& digest, std::string_view bytes);

    [[nodiscard]] bool has(const Digest& digest) const { return users_.contains(digest); }
    [[nodiscard]] const std::map<Digest, std::set<std::string>>& users() const noexcept { return users_; }
    // Who needs the blob; none: nobody.
    [[nodiscard]] std::vector<std::string> users_of(const Digest& digest) const;
    // Who the attachments of this manifest belong to; empty: it is no manifest that is needed as a whole.
    [[nodiscard]] std::set<std::string> users_of_subject(const Digest& manifest) const;

    // Manifests that are needed and can't be read: what they name is not known.
    struct Unreadable {
        Digest digest;
        std::string why;
    };
    [[nodiscard]] const std::vector<Unreadable>& unreadable() const noexcept { return unreadable_; }

private:
    void use(const Digest& digest, const std::set<std::string>& users);
    // The references of a manifest that is needed; nullopt, and noted, when it can't be read.
    [[nodiscard]] std::optional<References> read(const Digest& manifest);
    void add_tree(const Digest& manifest, const std::set<std::string>& users, int depth);
    [[nodiscard]] std::optional<std::set<std::string>> users_of_entry(const IndexEntry& entry) const;

    const bundle::Layout& layout_;
    std::map<Digest, std::set<std::string>> users_;
    std::map<Digest, std::set<std::string>> subjects_; // manifests that are needed with what is attached to them
    std::set<Digest> expanded_;                        // manifests whose references are among the users
    std::vector<Unreadable> unreadable_;
};

} // namespace kiln::registry
