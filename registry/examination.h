// SPDX-License-Identifier: Apache-2.0
// The decision whether an image may be booted, as a list of checks. Private to registry/: decide()
// and verify() of verified_image.h are the two ways in. The cheap checks come before the reading of
// whole disks, and nothing is parsed deeper than the signature covers before that was checked.
#pragma once

#include "core/error.h"
#include "registry/verified_image.h"
#include "signing/statement.h"

#include <optional>
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

    // With Failure::throws, throws for the first check that fails.
    void run();

    [[nodiscard]] const Image& image() const noexcept { return image_; }
    [[nodiscard]] const std::vector<Check>& checks() const noexcept { return checks_; }
    [[nodiscard]] const std::optional<bundle::Manifest>& manifest() const noexcept { return manifest_; }

private:
    void check_manifest_digest();
    void check_manifest_format();
    void check_signature();
    void check_statement();
    void check_configuration();
    void check_catalogue_entry();
    void check_layer_list();
    void check_events();
    void check_state();
    void check_launch_permission();
    void check_layers();

    // The statements that a trusted key of the owner signed; the others' faults go to `faults`.
    std::vector<signing::Statement> signed_statements(std::vector<std::string>& faults) const;
    [[nodiscard]] std::string read(const bundle::Descriptor& descriptor) const;

    void pass(std::string_view name, std::string detail);
    void fail(std::string_view name, std::string detail, ErrorKind kind = ErrorKind::untrusted,
              std::string_view hint = {});

    const Region& region_;
    Image image_;
    const signing::TrustStore& trust_;
    std::string calling_account_;
    Failure failure_;

    std::vector<Check> checks_;
    std::string oci_bytes_;
    std::optional<bundle::AmiOciManifest> oci_;
    std::vector<signing::Statement> statements_;
    std::optional<bundle::Manifest> manifest_;
    bool explained_ = false; // image_ is what the signed events say
};

} // namespace kiln::registry
