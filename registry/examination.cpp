// SPDX-License-Identifier: Apache-2.0
#include "registry/examination.h"

#include "core/text.h"
#include "registry/layer_inspection.h"
#include "registry/organizations.h"
#include "registry/policy.h"
#include "registry/test_result.h"
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
    : region_(region), layout_(region.layout()), image_(region.resolve(image.id)), trust_(trust),
      calling_account_(std::move(calling_account)), failure_(failure)
{
}

Examination::Examination(const Region& region, const bundle::Layout& layout, Image row,
                         const signing::TrustStore& trust, std::string calling_account)
    : region_(region), layout_(layout), incoming_(true), image_(std::move(row)), trust_(trust),
      calling_account_(std::move(calling_account)), failure_(Failure::throws)
{
}

void Examination::run()
{
    run_documents();
    check_layers();
}

void Examination::run_documents()
{
    check_manifest_digest();
    check_manifest_format();
    check_signature();
    check_statement();
    check_policy();
    check_configuration();
    check_catalogue_entry();
    check_layer_list();
    check_events();
    check_state();
    check_launch_permission();
}

void Examination::pass(std::string_view name, std::string detail)
{
    checks_.push_back({std::string(name), true, std::move(detail)});
}

void Examination::fail(std::string_view name, std::string detail, ErrorKind kind, std::string_view hint)
{
    if (incoming_) {
        throw Error(kind,
                    fmt::format("{} {} was refused: {}: {}", image_.name, image_.version.to_string(), name, detail),
                    hint.empty() ? "get the bundle again from whom you trust" : std::string(hint));
    }
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
    std::string bytes = layout_.read_verified(descriptor.digest);
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
        oci_bytes_ = layout_.read_verified(image_.manifest);
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

std::optional<Examination::SignedStatement>
Examination::signed_statement(const Digest& signature, const std::vector<signing::TrustedKey>& trusted,
                              std::vector<std::string>& faults)
{
    const auto attached =
        bundle::parse_attached_oci_manifest(layout_.read_verified(signature), bundle::signature_artifact_type);
    static_cast<void>(read(attached.config));
    std::vector<signing::PublicKey> keys;
    keys.reserve(trusted.size());
    for (const signing::TrustedKey& one : trusted) {
        keys.push_back(one.key);
    }
    const auto verified = signing::verify_envelope(read(attached.envelope), signing::in_toto_payload_type, keys);
    if (!verified) {
        faults.push_back(fmt::format("it is not signed by a key that is trusted for its owner, account {}{}",
                                     image_.owner, keys.empty() ? " (which has no trusted key)" : ""));
        return std::nullopt;
    }
    SignedStatement found{signing::parse_statement(verified->payload), {}};
    for (const std::string& id : verified->key_ids) {
        const auto signer = std::ranges::find(trusted, id, [](const auto& one) { return one.key.key_id(); });
        if (auto refusal = signer->refusal(found.statement.signed_at)) {
            refused_signer_ = true;
            faults.push_back(*std::move(refusal));
        } else {
            found.signers.insert(id);
        }
    }
    return found.signers.empty() ? std::nullopt : std::optional(std::move(found));
}

std::vector<Examination::SignedStatement> Examination::signed_statements(std::vector<std::string>& faults)
{
    const std::vector<signing::TrustedKey> trusted = trust_.all_keys_of(image_.owner);
    std::vector<SignedStatement> statements;
    for (const Digest& digest : layout_.find_attached(image_.manifest, bundle::signature_artifact_type)) {
        try {
            if (auto found = signed_statement(digest, trusted, faults)) {
                statements.push_back(*std::move(found));
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
    const std::string fault = faults.empty() ? "it is unsigned" : join(faults, "; ");
    if (allow_unsigned_ && !refused_signer_) {
        unsigned_reason_ = fault;
        return pass(name, fmt::format("NOT REQUIRED (--allow-unsigned): {}", fault));
    }
    if (faults.empty()) {
        return fail(name, fault, ErrorKind::untrusted,
                    "every image that Kiln publishes is signed: build or import it again, from whom you trust");
    }
    std::string hint =
        refused_signer_
            ? std::string(
                  "ask its owner for one that is signed with a key that still counts; `kiln key list` shows them")
            : fmt::format(
                  "if you trust account {}, get its public key from its owner and `kiln key trust ACCOUNT FILE`",
                  image_.owner);
    if (!incoming_) {
        hint += fmt::format("; `kiln image verify {}` shows every check", image_.id);
    }
    fail(name, fault, ErrorKind::untrusted, hint);
}

void Examination::check_statement()
{
    constexpr std::string_view name = "signed statement";
    if (unsigned_reason_) {
        return pass(name, "NOT REQUIRED (--allow-unsigned)");
    }
    std::vector<std::string> faults;
    std::string detail;
    for (const auto& [statement, signers] : statements_) {
        const auto differences = differences_of(statement, image_);
        if (!differences.empty()) {
            faults.push_back("it says " + join(differences, ", "));
            continue;
        }
        signers_.insert(signers.begin(), signers.end());
        detail = fmt::format("{}@{} {} by account {}, signed at {}", statement.name, statement.version.to_string(),
                             statement.architecture, statement.account, printable(statement.signed_at, false));
    }
    if (!signers_.empty()) {
        return pass(name, detail);
    }
    fail(name, faults.empty() ? std::string(not_reached) : join(faults, "; "));
}

void Examination::check_policy()
{
    constexpr std::string_view name = "policy";
    constexpr std::string_view against = "--allow-unsigned does not go against the policy file: ";
    std::optional<Policy> policy;
    try {
        policy = find_policy(trust_.folder());
    } catch (const Error& error) {
        return fail(name, error.what(), ErrorKind::untrusted, error.hint());
    }
    const PolicyVerdict verdict = judge(policy, image_.name, image_.owner, signers_);
    if (unsigned_reason_) {
        const bool free = !policy || (policy->rule_of(image_.name) == nullptr && !policy->refuse_others);
        return free ? pass(name, "NOT REQUIRED (--allow-unsigned)") : fail(name, std::string(against) + verdict.detail);
    }
    if (verdict.passed) {
        pass(name, verdict.detail);
        return policy ? check_tests(*policy) : void();
    }
    fail(name, signers_.empty() ? std::string(not_reached) : verdict.detail, ErrorKind::untrusted,
         fmt::format("{} says who may sign it", (trust_.folder() / "policy.json").native()));
}

// A line of its own, where the policy file wants it. What comes in can be tested where it came to.
void Examination::check_tests(const Policy& policy)
{
    constexpr std::string_view name = "tests";
    const PolicyRule* const rule = policy.rule_of(image_.name);
    if (rule == nullptr || !rule->tested || incoming_) {
        return;
    }
    if (!want_tests_) {
        return pass(name, "not wanted for a launch that runs them");
    }
    const std::string hint =
        fmt::format("`kiln test {} --attest`, by its owner, tests it and signs the result", image_.id);
    const auto run = newest_test_run(layout_, image_, trust_);
    if (!run) {
        return fail(name, "the policy file wants passed tests, and no result is signed by a key of its owner",
                    ErrorKind::untrusted, hint);
    }
    if (!run->failed.empty()) {
        return fail(
            name,
            fmt::format("failed at {}: {}", printable(run->finished, false), printable(join(run->failed, ", "), false)),
            ErrorKind::untrusted, hint);
    }
    pass(name, fmt::format("{} passed at {}", run->passed.size(), printable(run->finished, false)));
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
    if (incoming_) {
        explained_ = true; // as its manifest has it: row_of()
        return pass(name, "none yet");
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
    std::vector<std::string> organizations;
    try {
        organizations =
            image_.launch_organizations.empty() ? organizations : organizations_of(trust_.folder(), calling_account_);
    } catch (const Error& error) {
        return fail(name, error.what(), error.kind(), error.hint());
    }
    if (!may_launch(image_, calling_account_, organizations)) {
        return fail(
            name,
            fmt::format("account {} may not launch it: it is private to account {}{}",
                        calling_account_.empty() ? "(none)" : printable(calling_account_, false), image_.holder,
                        image_.launch_accounts.empty() && image_.launch_organizations.empty() ? "" : " and others"),
            ErrorKind::permission_denied, "ask its owner to make it public or to share it");
    }
    if (image_.launch_public) {
        return pass(name, "public");
    }
    if (calling_account_ == image_.holder) {
        return pass(name, fmt::format("account {} owns it", calling_account_));
    }
    const bool by_name = may_launch(image_, calling_account_);
    pass(name, by_name ? fmt::format("shared with account {}", calling_account_)
                       : fmt::format("shared with an organization of account {}: {}", calling_account_,
                                     join(organizations, ", ")));
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
    const auto findings = inspect_layers(layout_, layers, reading_, record_);
    for (const auto& mapping : manifest_->block_devices) {
        for (std::size_t i = 0; i < mapping.layers.size(); ++i) {
            const auto& layer = mapping.layers[i];
            const std::string name = fmt::format("disk {} layer {}", mapping.device, i + 1);
            const LayerFinding& finding = findings.at(layer.digest.hex());
            if (finding.fault) {
                fail(name, fmt::format("{}: {}", layer.digest.to_string(), *finding.fault));
            } else {
                pass(name, fmt::format("{}, {}{}", layer.digest.to_string(), to_string(layer.size),
                                       finding.unread ? ", unchanged since it was last read" : ""));
            }
        }
    }
}

} // namespace kiln::registry
