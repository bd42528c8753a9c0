// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/referrers.h"

#include "registry/launch_statement.h"
#include "registry/remote/failure.h"

#include <algorithm>

namespace kiln::registry::remote
{
namespace
{

constexpr std::int64_t largest_manifest = std::int64_t{16} << 20U;
constexpr std::size_t most_statements = 16;
constexpr std::string_view referrers_document = "index of referrers";

Json entries_of(const std::string& bytes, const RemoteReference& reference)
{
    try {
        const Json index = parse_json(bytes, referrers_document);
        const Json& entries = member(index, "manifests", referrers_document);
        if (entries.is_array()) {
            return entries;
        }
    } catch (const Error&) { // NOLINT(bugprone-empty-catch): said below
    }
    throw not_a_registry(reference, "what it lists as attached to the image is no index");
}

} // namespace

std::vector<bundle::AttachedManifest> Referrers::manifests() const
{
    std::vector<bundle::AttachedManifest> found;
    for (const Json& entry : entries) {
        try {
            const auto digest = Digest::parse(string_member(entry, "digest", referrers_document));
            const std::int64_t size = integer_member(entry, "size", referrers_document);
            if (digest && size >= 1 && size <= largest_manifest &&
                string_member(entry, "mediaType", referrers_document) == bundle::oci_manifest_type) {
                found.push_back(
                    {string_member(entry, "artifactType", referrers_document),
                     {std::string(bundle::oci_manifest_type), *digest, ByteSize(static_cast<std::uint64_t>(size))}});
            }
        } catch (const Error&) { // NOLINT(bugprone-empty-catch): of another tool, and nothing that Kiln reads
        }
    }
    return found;
}

std::string fallback_tag(const Digest& subject)
{
    return "sha256-" + subject.hex();
}

Referrers read_referrers(RemoteClient& client, const RemoteReference& reference, const Digest& subject)
{
    if (const auto bytes = client.find_referrers(subject)) {
        return {.entries = entries_of(*bytes, reference), .by_tag = false};
    }
    const auto bytes = client.find_manifest(fallback_tag(subject));
    return bytes ? Referrers{.entries = entries_of(*bytes, reference)} : Referrers{};
}

std::vector<std::string> read_launch_statements(RemoteClient& client, std::vector<bundle::AttachedManifest> attached)
{
    std::erase_if(attached, [](const auto& one) { return one.artifact_type != launch_artifact_type; });
    const std::size_t first = attached.size() - std::min(attached.size(), most_statements);
    std::vector<std::string> envelopes;
    for (std::size_t i = first; i < attached.size(); ++i) {
        try {
            const auto manifest = client.find_manifest(attached[i].manifest.digest);
            envelopes.push_back(client.read_blob(
                bundle::parse_attached_oci_manifest(manifest.value_or(""), launch_artifact_type).envelope));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::untrusted && error.kind() != ErrorKind::not_found) {
                throw;
            }
        }
    }
    return envelopes;
}

std::string referrers_index(const Json& entries)
{
    return Json{{"schemaVersion", 2}, {"mediaType", bundle::oci_index_type}, {"manifests", entries}}.dump();
}

} // namespace kiln::registry::remote
