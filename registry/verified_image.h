// SPDX-License-Identifier: Apache-2.0
// The proof that an image may be booted. Only `verify` makes one, the launcher takes nothing else.
#pragma once

#include "bundle/manifest.h"
#include "registry/region.h"
#include "signing/trust_store.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kiln::registry
{

// One line of the decision, in the order of checking.
struct Check {
    std::string name; // "signature", "name and version", "disk /dev/vda layer 1", ...
    bool passed = false;
    std::string detail; // what was compared, for a person
};

// What becomes of an image that no trusted key signed. `allow` lets it through the checks of its signature, and through
// no other one: not when a revoked key signed it, a signature is about another image, or the policy file has a say.
enum class Unsigned { refuse, allow };

// Which layers are read: all of them, or those that changed since this home last found them whole
// (registry/verification_record.h). Everything else is checked in either case.
enum class Reading { all, changed };

// Whether a rule of the policy file that wants passed tests is heeded. `allow` is for the launch that runs the tests.
enum class Untested { refuse, allow };

class VerificationRecord;

struct VerifyOptions {
    Unsigned unsigned_images = Unsigned::refuse;
    Reading reading = Reading::all;
    Untested untested = Untested::refuse;
    VerificationRecord* record = nullptr; // is told of what was read and whole; none: Reading::changed reads all
};

class VerifiedImage
{
public:
    [[nodiscard]] const Image& image() const noexcept { return image_; }
    [[nodiscard]] const bundle::Manifest& manifest() const noexcept { return manifest_; }
    // The layer files of a device, bottom first; each one's digest was checked.
    [[nodiscard]] std::vector<std::filesystem::path> layer_paths(const bundle::BlockDeviceMapping& device) const;
    [[nodiscard]] const std::string& region() const noexcept { return region_; }
    // Why its signature does not count, when it was let through by Unsigned::allow; nullopt for a signed image.
    [[nodiscard]] const std::optional<std::string>& unsigned_reason() const noexcept { return unsigned_reason_; }

private:
    friend VerifiedImage verify(const Region&, const Image&, const signing::TrustStore&, const std::string&,
                                const VerifyOptions&);
    VerifiedImage(Image image, bundle::Manifest manifest, std::filesystem::path blobs, std::string region);

    Image image_;
    bundle::Manifest manifest_;
    std::filesystem::path blobs_;
    std::string region_;
    std::optional<std::string> unsigned_reason_;
    std::shared_ptr<const Lease> lease_; // its blobs stay as long as the proof does
};

struct Decision {
    std::vector<Check> checks;
    [[nodiscard]] bool passed() const;
};

// Every check with its outcome, for `kiln image verify`; goes on after a failed check where it can.
// Both functions read the catalogue's row of `image` (by its id) anew, and throw Error{not_found} when
// it is gone.
[[nodiscard]] Decision decide(const Region& region, const Image& image, const signing::TrustStore& trust,
                              const std::string& calling_account, const VerifyOptions& options = {});

// The same checks; throws Error{untrusted} (or {permission_denied} for a launch permission or a
// disabled image) for the first that failed.
[[nodiscard]] VerifiedImage verify(const Region& region, const Image& image, const signing::TrustStore& trust,
                                   const std::string& calling_account, const VerifyOptions& options = {});

} // namespace kiln::registry
