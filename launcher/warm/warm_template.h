// SPDX-License-Identifier: Apache-2.0
// Templates of warm launches: an instance of an AMI, booted and saved. Each is an artifact of the AMI in its region
// (registry/artifact.h), of type bundle::template_artifact_type: a description that the account that made it signed,
// and the packed files (core/packed_image.h). It never changes.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"
#include "core/file_descriptor.h"
#include "launcher/warm/template_shape.h"
#include "registry/artifact.h"
#include "registry/verification_record.h"
#include "signing/trust_store.h"

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

struct WarmTemplate {
    struct File {
        std::string name;
        ByteSize size; // unpacked
    };
    std::string id; // template_id_of(shape)
    TemplateShape shape;
    std::string account; // who made it
    std::string region;  // with the next three: of the AMI that it was made of
    std::string image_id;
    std::string image_name;
    std::string image_version;
    std::string made; // ISO 8601
    std::chrono::milliseconds took{0};
    std::string instance_id;                 // of the instance that it was; in its guest until a clone has another one
    std::string launch_key;                  // the same: the public key, as in authorized_keys
    std::string ready;                       // the guest's word: "running"
    std::vector<std::string> host_key_types; // that its sshd has: "ed25519", ...
    bool cloud_init = false;                 // has run in it
    std::vector<File> files;                 // as template_files() has them
};

inline constexpr const char* template_memory_file = "ram";
inline constexpr const char* template_state_file = "state";
[[nodiscard]] std::string template_disk_file(std::size_t disk);
[[nodiscard]] std::vector<std::string> template_files(std::size_t disks); // memory, state, and one for each disk
[[nodiscard]] std::string packed_name(std::string_view file);             // while it is made

[[nodiscard]] Json to_json(const WarmTemplate& one);
[[nodiscard]] WarmTemplate template_from_json(const Json& json); // throws Error{io, untrusted}

// One of a region, as an account signed it; its files are not looked at.
struct StoredTemplate {
    WarmTemplate description;
    registry::Artifact artifact;
};
// Those of the image that one of the accounts made, newest first. What is wrong with others is added to `faults`.
[[nodiscard]] std::vector<StoredTemplate> find_templates(const bundle::Layout& layout, const Digest& image,
                                                         const signing::TrustStore& trust,
                                                         const std::vector<std::string>& accounts,
                                                         std::vector<std::string>& faults);

// The proof that a template's files are those that an account signed, for as long as they are in the region.
class VerifiedTemplate
{
public:
    [[nodiscard]] const WarmTemplate& get() const noexcept { return description_; }
    [[nodiscard]] std::string name_of(std::string_view file) const; // the hex digits of the packed file's digest
    // A new descriptor of the packed file. Throws Error{io, not_found}.
    [[nodiscard]] FileDescriptor open(std::string_view file) const;
    [[nodiscard]] ByteSize size_of(std::string_view file) const; // unpacked

private:
    friend VerifiedTemplate verify_template(const bundle::Layout&, const StoredTemplate&,
                                            registry::VerificationRecord*);
    friend Json to_json(const VerifiedTemplate&);
    friend VerifiedTemplate recorded_template(const Json&);
    VerifiedTemplate(WarmTemplate description, std::vector<std::filesystem::path> files)
        : description_(std::move(description)), files_(std::move(files))
    {
    }
    [[nodiscard]] std::size_t index_of(std::string_view file) const;
    WarmTemplate description_;
    std::vector<std::filesystem::path> files_; // blobs
};

// Files that `record` has are not read. Throws Error{untrusted, not_found}.
[[nodiscard]] VerifiedTemplate verify_template(const bundle::Layout& layout, const StoredTemplate& stored,
                                               registry::VerificationRecord* record);

// What a launch leaves in the instance's folder for the supervisor, which reads it. Throws Error{io}.
[[nodiscard]] Json to_json(const VerifiedTemplate& verified);
[[nodiscard]] VerifiedTemplate recorded_template(const Json& json);

} // namespace kiln::launcher
