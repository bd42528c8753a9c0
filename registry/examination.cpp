// SPDX-License-Identifier: Apache-2.0
#include "registry/examination.h"

#include "core/text.h"
#include "registry/layer_inspection.h"
#include "signing/dsse.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::registry
{
namespace
{

constexpr std::string_view not_reached = "could not be checked, because of what failed before";

// "name other instead of debian-12"; empty when they are equal.
void compare(std::vector<std::string>& differences, std::string_view what, std::string_view found,
             std::string_view wanted)
{
    if (found != wanted) {
        differences.push_back(fmt::format("{} {} instead of {}", what, printable(found.substr(0, 200), false), wanted));
    }
}

std::vector<std::string> differences_of(const signing::Statement& statement, const Image& image)
{
    std::vector<std::string> differences;
    compare(differences, "account", statement.account, image.owner);
    compare(differences, "name", statement.name, image.name);
    compare(differences, "version", statement.version.to_string(), image.version.to_string());
    compare(differences, "architecture", statement.architecture, image.architecture);
    compare(differences, "manifest", statement.manifest.to_string(), image.manifest.to_string());
    return differences;
}

std::vector<std::string> differences_of(const bundle::Manifest& manifest, const Image& image)
{
    std::vector<std::string> differences;
    compare(differences, "owner", manifest.owner, image.owner);
    compare(differences, "name", manifest.name, image.name);
    compare(differences, "version", manifest.version.to_string(), image.version.to_string());
    compare(differences, "architecture", manifest.architecture, image.architecture);
    return differences;
}

} // namespace

Examination::Examination(const Region& region, const Image& image, const signing::TrustStore& trust,
                         std::string calling_account, Failure failure)
    : region_(region), image_(region.resolve(image.id)), trust_(trust), calling_account_(std::move(calling_account)),
      failure_(failure)
{
}

void Examination::run()
{
    check_manifest_digest();
    check_manifest_format();
    check_signature();
    check_statement();
    check_configuration();
    check_catalogue_entry();
    check_layer_list();
    check_events();
    check_state();
    check_launch_permission();
    check_layers();
}

void Examination::pass(std::string_view name, std::string detail)
{
    checks_.push_back({std::string(name), true, std::move(detail)});
}

void Examination::fail(std::string_view name, std::string detail, ErrorKind kind, std::string_view hint)
{
    if (failure_ == Failure::throws) {
        const std::string all =
            fmt::format("`kiln image verify {}` shows every check; build or import the image again", image_.id);
        throw Error(kind,
                    fmt::format("{} {} ({}) in region {} was refused: {}: {}", image_.name, image_.version.to_string(),
                                image_.id, region_.name(), name, detail),
                    hint.empty() ? all : std::string(hint));
    }
    checks_.push_back({std::string(name), false, std::move(detail)});
}

std::string Examination::read(const bundle::Descriptor& descriptor) const
{
    std::string bytes = region_.layout().read_verified(descriptor.digest);
    if (ByteSize(bytes.size()) != descriptor.size) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("the blob {} has {} bytes instead of {}", descriptor.digest.to_string(), bytes.size(),
                                descriptor.size.bytes()));
    }
    return bytes;
}

void Examination::check_manifest_digest()
{
    constexpr std::string_view name = "manifest digest";
    try {
        oci_bytes_ = region_.layout().read_verified(image_.manifest);
    } catch (const Error& error) {
        return fail(name, error.what());
    }
    pass(name, image_.manifest.to_string());
}

void Examination::check_manifest_format()
{
    constexpr std::string_view name = "manifest format";
    if (oci_bytes_.empty()) {
        return fail(name, std::string(not_reached));
    }
    try {
        oci_ = bundle::parse_ami_oci_manifest(oci_bytes_);
    } catch (const Error& error) {
        return fail(name, error.what());
    }
    pass(name, fmt::format("an AMI of {} layer(s)", oci_->layers.size()));
}

std::vector<signing::Statement> Examination::signed_statements(std::vector<std::string>& faults) const
{
    const std::vector<signing::PublicKey> keys = trust_.keys_of(image_.owner);
    std::vector<signing::Statement> statements;
    for (const Digest& digest : region_.layout().find_attached(image_.manifest, bundle::signature_artifact_type)) {
        try {
            const auto attached = bundle::parse_attached_oci_manifest(region_.layout().read_verified(digest),
                                                                      bundle::signature_artifact_type);
            static_cast<void>(read(attached.config));
            const auto verified =
                signing::verify_envelope(read(attached.envelope), signing::in_toto_payload_type, keys);
            if (verified) {
                statements.push_back(signing::parse_statement(verified->payload));
            } else {
                faults.push_back(fmt::format("it is not signed by a key that is trusted for its owner, account {}{}",
                                             image_.owner, keys.empty() ? " (which has no trusted key)" : ""));
            }
        } catch (const Error& error) {
            faults.emplace_back(error.what());
        }
    }
    return statements;
}

void Examination::check_signature()
{
    constexpr std::string_view name = "signature";
    std::vector<std::string> faults;
    try {
        statements_ = signed_statements(faults);
    } catch (const Error& error) {
        return fail(name, error.what(), ErrorKind::untrusted, error.hint());
    }
    if (!statements_.empty()) {
        return pass(name, fmt::format("by a trusted key of account {}", image_.owner));
    }
    if (faults.empty()) {
        return fail(name, "it is unsigned", ErrorKind::untrusted,
                    "every image that Kiln publishes is signed: build or import it again, from whom you trust");
    }
    fail(
        name, join(faults, "; "), ErrorKind::untrusted,
        fmt::format(
            "if you trust account {}, get its public key from its owner and `kiln key trust ACCOUNT FILE`; `kiln image "
            "verify {}` shows every check",
            image_.owner, image_.id));
}

void Examination::check_statement()
{
    constexpr std::string_view name = "signed statement";
    std::vector<std::string> faults;
    for (const signing::Statement& statement : statements_) {
        const auto differences = differences_of(statement, image_);
        if (differences.empty()) {
            return pass(name, fmt::format("{}@{} {} by account {}, signed at {}", statement.name,
                                          statement.version.to_string(), statement.architecture, statement.account,
                                          printable(statement.signed_at, false)));
        }
        faults.push_back("it says " + join(differences, ", "));
    }
    fail(name, faults.empty() ? std::string(not_reached) : join(faults, "; "));
}

void Examination::check_configuration()
{
    constexpr std::string_view name = "configuration digest";
    if (!oci_) {
        return fail(name, std::string(not_reached));
    }
    try {
        manifest_ = bundle::manifest_from_json(parse_json(read(oci_->config), "manifest"));
    } catch (const Error& error) {
        return fail(name, error.what(), ErrorKind::untrusted, error.hint());
    }
    pass(name, oci_->config.digest.to_string());
}

void Examination::check_catalogue_entry()
{
    constexpr std::string_view name = "name and version";
    if (!manifest_) {
        return fail(name, std::string(not_reached));
    }
    const auto differences = differences_of(*manifest_, image_);
    if (!differences.empty()) {
        return fail(name, "the manifest has " + join(differences, ", "));
    }
    pass(name, fmt::format("{} {} {}, owned by {}", image_.name, image_.version.to_string(), image_.architecture,
                           image_.owner));
}

void Examination::check_layer_list()
{
    constexpr std::string_view name = "layer list";
    if (!manifest_) {
        return fail(name, std::string(not_reached));
    }
    // Writing the list again from the manifest is the definition of the list.
    const auto wanted = bundle::parse_ami_oci_manifest(bundle::ami_oci_manifest(*manifest_, oci_->config)).layers;
    const bool equal = std::equal(
        wanted.begin(), wanted.end(), oci_->layers.begin(), oci_->layers.end(),
        [](const auto& one, const auto& other) { return one.digest == other.digest && one.size == other.size; });
    if (!equal) {
        return fail(name, "the OCI manifest lists other layers than the AMI manifest");
    }
    pass(name, fmt::format("{} layer(s), the same in both manifests", wanted.size()));
}

void Examination::check_events()
{
    constexpr std::string_view name = "events";
    if (!manifest_) {
        return fail(name, std::string(not_reached));
    }
    try {
        image_ = region_.explained(image_, *manifest_, trust_);
        explained_ = true;
    } catch (const Error& error) {
        return fail(name, error.what(), error.kind(), error.hint());
    }
    pass(name, image_.last_event == 0 ? std::string("none; it is as its manifest says")
                                      : fmt::format("signed and complete up to event {}, held by account {}",
                                                    image_.last_event, image_.holder));
}

void Examination::check_state()
{
    constexpr std::string_view name = "state";
    if (!explained_) {
        return fail(name, std::string(not_reached));
    }
    if (image_.state == ImageState::deregistered) {
        return fail(name, "it was deregistered", ErrorKind::permission_denied,
                    "choose another image or version (`kiln image list`)");
    }
    if (image_.state == ImageState::disabled) {
        return fail(name, "it is disabled", ErrorKind::permission_denied,
                    "its owner has disabled it for everyone; choose another version (`kiln image list`)");
    }
    pass(name, image_.deprecated_at
                   ? fmt::format("{}; deprecated {} {}", name_of(image_.state),
                                 image_.state == ImageState::deprecated ? "since" : "from", *image_.deprecated_at)
                   : std::string(name_of(image_.state)));
}

void Examination::check_launch_permission()
{
    constexpr std::string_view name = "launch permission";
    if (!explained_) {
        return fail(name, std::string(not_reached));
    }
    if (!may_launch(image_, calling_account_)) {
        return fail(name,
                    fmt::format("account {} may not launch it: it is private to account {}{}",
                                calling_account_.empty() ? "(none)" : printable(calling_account_, false), image_.holder,
                                image_.launch_accounts.empty() ? "" : " and others"),
                    ErrorKind::permission_denied, "ask its owner to make it public or to share it");
    }
    if (image_.launch_public) {
        return pass(name, "public");
    }
    pass(name, calling_account_ == image_.holder ? fmt::format("account {} owns it", calling_account_)
                                                 : fmt::format("shared with account {}", calling_account_));
}

void Examination::check_layers()
{
    if (!manifest_) {
        return fail("disks", std::string(not_reached));
    }
    std::vector<bundle::LayerReference> layers;
    for (const auto& mapping : manifest_->block_devices) {
        layers.insert(layers.end(), mapping.layers.begin(), mapping.layers.end());
    }
    const auto faults = inspect_layers(region_.layout(), layers);
    for (const auto& mapping : manifest_->block_devices) {
        for (std::size_t i = 0; i < mapping.layers.size(); ++i) {
            const auto& layer = mapping.layers[i];
            const std::string name = fmt::format("disk {} layer {}", mapping.device, i + 1);
            const std::string detail = fmt::format("{}, {}", layer.digest.to_string(), to_string(layer.size));
            if (const auto& fault = faults.at(layer.digest.hex())) {
                fail(name, fmt::format("{}: {}", layer.digest.to_string(), *fault));
            } else {
                pass(name, detail);
            }
        }
    }
}

} // namespace kiln::registry
