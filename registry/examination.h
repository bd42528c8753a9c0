// SPDX-License-Identifier: Apache-2.0
// The decision whether an image may be booted, as a list of checks. Private to registry/: decide()
// and verify() of verified_image.h are the two ways in. The cheap checks come before the reading of
// whole disks, and nothing is parsed deeper than the signature covers before that was checked.
#pragma once

#include "core/error.h"
#include "registry/policy.h"
#include "registry/verified_image.h"
#include "signing/statement.h"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

class Examination
{
public:
    enum class Failure { go_on, throws };
    // Reads the catalogue's row of `image` anew: its state or permission may have changed since the
    // caller resolved it. Throws Error{not_found} when it is gone.
    Examination(const Region& region, const Image& image, const signing::TrustStore& trust, std::string calling_account,
                Failure failure);

    // Of an image that is about to come into `region`, with the row that it would get; its blobs are in `layout`.
    // Throws for the first check that fails.
    Examination(const Region& region, const bundle::Layout& layout, Image row, const signing::TrustStore& trust,
                std::string calling_account);

    // Lets an image through that no trusted key signed; see Unsigned::allow.
    void allow_unsigned() { allow_unsigned_ = true; }
    // Whether a rule that wants passed tests is heeded.
    void want_tests(bool want) { want_tests_ = want; }
    // Reads all, and no record is kept, unless this says otherwise.
    void read_layers(Reading reading, VerificationRecord* record)
    {
        reading_ = reading;
        record_ = record;
    }

    // With Failure::throws, throws for the first check that fails.
    void run();
    // All but the reading of disks.
    void run_documents();

    [[nodiscard]] const Image& image() const noexcept { return image_; }
    [[nodiscard]] const std::vector<Check>& checks() const noexcept { return checks_; }
    [[nodiscard]] const std::optional<bundle::Manifest>& manifest() const noexcept { return manifest_; }
    // Why its signature does not count, where that was allowed.
    [[nodiscard]] const std::optional<std::string>& unsigned_reason() const noexcept { return unsigned_reason_; }

private:
    void check_manifest_digest();
    void check_manifest_format();
    void check_signature();
    void check_statement();
    void check_policy();
    void check_tests(const Policy& policy);
    void check_configuration();
    void check_catalogue_entry();
    void check_layer_list();
    void check_events();
    void check_state();
    void check_launch_permission();
    void check_layers();

    struct SignedStatement {
        signing::Statement statement;
        std::set<std::string> signers; // ids of trusted keys of the owner whose signature counts
    };
    // The others' faults go to `faults`.
    std::vector<SignedStatement> signed_statements(std::vector<std::string>& faults);
    [[nodiscard]] std::optional<SignedStatement> signed_statement(const Digest& signature,
                                                                  const std::vector<signing::TrustedKey>& trusted,
                                                                  std::vector<std::string>& faults);
    [[nodiscard]] std::string read(const bundle::Descriptor& descriptor) const;

    void pass(std::string_view name, std::string detail);
    void fail(std::string_view name, std::string detail, ErrorKind kind = ErrorKind::untrusted,
              std::string_view hint = {});

    const Region& region_;
    const bundle::Layout& layout_;
    bool incoming_ = false; // not in the catalogue yet
    Image image_;
    const signing::TrustStore& trust_;
    std::string calling_account_;
    Failure failure_;
    Reading reading_ = Reading::all;
    VerificationRecord* record_ = nullptr;

    std::vector<Check> checks_;
    std::string oci_bytes_;
    std::optional<bundle::AmiOciManifest> oci_;
    std::vector<SignedStatement> statements_;
    std::set<std::string> signers_; // of just this image
    bool refused_signer_ = false;   // a revoked or replaced key signed it
    bool allow_unsigned_ = false;
    bool want_tests_ = true;
    std::optional<std::string> unsigned_reason_;
    std::optional<bundle::Manifest> manifest_;
    bool explained_ = false; // image_ is what the signed events say
};

} // namespace kiln::registry
