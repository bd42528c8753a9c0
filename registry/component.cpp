// SPDX-License-Identifier: Apache-2.0
// Document, manifest and signature first, the index entry that names the component last.
#include "registry/component.h"

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "registry/envelope.h"
#include "registry/region_state.h"
#include "signing/attestation.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace kiln::registry
{
namespace
{

constexpr std::string_view predicate_type = "https://kiln.invalid/component/v1";
constexpr ByteSize largest_component = mebibytes(1);

constexpr std::string_view name_annotation = "org.opencontainers.image.title";
constexpr std::string_view version_annotation = "org.opencontainers.image.version";
constexpr std::string_view published_annotation = "org.opencontainers.image.created";
constexpr std::string_view owner_annotation = "vnd.kiln.owner";

std::string title_of(const Component& component)
{
    return fmt::format("{}@{}", component.name, component.version.to_string());
}

Component component_of(const bundle::Layout::Entry& entry)
{
    const auto text = [&](std::string_view name) {
        const auto found = entry.annotations.find(name);
        return found == entry.annotations.end() ? std::string() : found->second;
    };
    const auto version = parse_semantic_version(text(version_annotation));
    Component component{.name = text(name_annotation),
                        .version = version.value_or(SemanticVersion()),
                        .owner = text(owner_annotation),
                        .manifest = entry.manifest,
                        .published = text(published_annotation)};
    if (!version || !bundle::is_image_name(component.name) || !signing::is_account_id(component.owner)) {
        throw Error(ErrorKind::io,
                    fmt::format("index.json has a damaged entry for the component {}", entry.manifest.to_string()),
                    "restore index.json from a backup");
    }
    return component;
}

// What the signature is about; who publishes signs it, who reads compares it.
Json statement_of(const Component& component)
{
    return {{"name", component.name}, {"version", component.version.to_string()}, {"account", component.owner}};
}

[[noreturn]] void refuse_component(const Component& component, std::string_view why)
{
    throw Error(
        ErrorKind::untrusted,
        fmt::format("the component {} of account {} was refused: {}", title_of(component), component.owner, why),
        "publish it again in a higher version, or `kiln key trust` its owner's key if you trust that account");
}

} // namespace

Json index_annotations(const Component& component)
{
    const std::string version = component.version.to_string();
    return {{bundle::reference_name_annotation, fmt::format("component/{}-{}", component.name, version)},
            {name_annotation, component.name},
            {version_annotation, version},
            {published_annotation, component.published},
            {owner_annotation, component.owner}};
}

bool is_signed_component(const Component& component, const bundle::Layout& layout, const Digest& signature,
                         const signing::TrustStore& trust)
{
    try {
        const auto attached =
            bundle::parse_attached_oci_manifest(layout.read_verified(signature), bundle::signature_artifact_type);
        const auto statement =
            signing::verify_attestation(layout.read_verified(attached.envelope.digest), trust.keys_of(component.owner),
                                        component.manifest, predicate_type);
        return bundle::is_image_name(component.name) && statement && *statement == statement_of(component);
    } catch (const Error&) {
        return false;
    }
}

Component Region::publish_component(const NewComponent& component, const signing::SecretKey& key)
{
    const bundle::Layout& layout = state_->layout;
    const FileLock lock(lock_file(state_->folder), FileLock::Wait::block);
    const std::vector<Component> known = components();
    if (std::ranges::any_of(known, [&](const Component& one) {
            return one.name == component.name && one.version == component.version;
        })) {
        throw Error(ErrorKind::conflict,
                    fmt::format("the component {}@{} is already in region {}", component.name,
                                component.version.to_string(), name()),
                    "a published component never changes: raise its version");
    }
    layout.sweep_abandoned();
    static_cast<void>(layout.put(bundle::oci_empty_blob, bundle::oci_empty_type));
    const auto document = layout.put(component.text, bundle::component_artifact_type);
    const auto manifest = layout.put(bundle::component_oci_manifest(document), bundle::oci_manifest_type);
    Component published{.name = component.name,
                        .version = component.version,
                        .owner = component.owner,
                        .manifest = manifest.digest,
                        .published = iso_now()};
    const std::string envelope = signing::sign_attestation({.subject_name = title_of(published),
                                                            .subject = manifest.digest,
                                                            .predicate_type = std::string(predicate_type),
                                                            .predicate = statement_of(published)},
                                                           key);
    layout.add_to_index(store_envelope(envelope, bundle::signature_artifact_type, manifest, layout),
                        bundle::signature_artifact_type, {{bundle::subject_annotation, manifest.digest.to_string()}});
    layout.add_to_index(manifest, bundle::component_artifact_type, index_annotations(published));
    return published;
}

std::vector<Component> Region::components() const
{
    std::vector<Component> components;
    for (const bundle::Layout::Entry& entry : layout().find_all(bundle::component_artifact_type)) {
        components.push_back(component_of(entry));
    }
    std::ranges::sort(components, [](const Component& left, const Component& right) {
        return left.name != right.name ? left.name < right.name : std::greater<>()(left.version, right.version);
    });
    return components;
}

std::string Region::component_text(const Component& component, const signing::TrustStore& trust) const
{
    std::vector<std::string> faults;
    const auto statement = find_predicate(layout(), component.manifest, bundle::signature_artifact_type, predicate_type,
                                          trust.keys_of(component.owner), faults);
    if (!statement) {
        refuse_component(component, faults.empty() ? "it is unsigned" : join(faults, "; "));
    }
    if (*statement != statement_of(component)) {
        refuse_component(component, "its signature is of another name, version or account");
    }
    try {
        const auto document = bundle::parse_component_oci_manifest(layout().read_verified(component.manifest));
        return layout().read_verified(document.digest, largest_component);
    } catch (const Error& error) {
        refuse_component(component, error.what());
    }
}

} // namespace kiln::registry
