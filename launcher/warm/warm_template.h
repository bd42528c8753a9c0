// SPDX-License-Identifier: Apache-2.0
// Templates of warm launches: an instance of an AMI, booted and saved. Each is a folder warm/ID in the home, of which
// template.json, signed by the account that made it, names the other files with their digests; it is written last, and
// removed first. A finished folder never changes.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"
#include "core/paths.h"
#include "launcher/warm/template_shape.h"
#include "registry/verification_record.h"
#include "signing/keys.h"
#include "signing/trust_store.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::launcher
{

struct WarmTemplate {
    struct File {
        std::string name;
        ByteSize size;
        Digest digest; // of the list of its parts' digests: digest_of_sparse_file
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
    std::vector<File> files;                 // "ram", "state", and "disk0.qcow2" for each disk

    [[nodiscard]] ByteSize size() const; // of all files, holes as well
    [[nodiscard]] const Digest& digest_of(std::string_view file) const;
};

inline constexpr const char* template_memory_file = "ram";
inline constexpr const char* template_state_file = "state";
[[nodiscard]] std::string template_disk_file(std::size_t disk);
[[nodiscard]] std::vector<std::string> template_files(std::size_t disks); // all three kinds

[[nodiscard]] std::filesystem::path templates_folder(const Paths& paths);

[[nodiscard]] Json to_json(const WarmTemplate& one);
[[nodiscard]] WarmTemplate template_from_json(const Json& json); // throws Error{io, untrusted}

// Those that are there, newest first; unverified. One that can't be read is left out.
[[nodiscard]] std::vector<WarmTemplate> list_templates(const Paths& paths);

// Signs and writes the record of a folder whose other files are finished and named in `one`.
void write_template_record(const std::filesystem::path& folder, const WarmTemplate& one, const signing::SecretKey& key);

// As it was signed by a key of `account`, whose it must be; its files are not looked at. Throws Error{untrusted,
// not_found, io}.
[[nodiscard]] WarmTemplate load_template(const Paths& paths, const std::string& id, const signing::TrustStore& trust,
                                         const std::string& account);

// Removes it; what clones have of its files goes on. Nothing happens when it is gone.
void remove_template(const Paths& paths, const std::string& id);

// SHA-256 over the size and the digests of each 16 MiB; holes are not read.
[[nodiscard]] Digest digest_of_sparse_file(int fd, ByteSize size, std::string_view what);

// The proof that a template's files are those that its record names, and that the account signed that.
class VerifiedTemplate
{
public:
    [[nodiscard]] const WarmTemplate& get() const noexcept { return template_; }
    [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

private:
    friend VerifiedTemplate verify_template(const Paths&, const std::string&, const signing::TrustStore&,
                                            const std::string&, registry::VerificationRecord*);
    VerifiedTemplate(WarmTemplate one, std::filesystem::path folder)
        : template_(std::move(one)), folder_(std::move(folder))
    {
    }
    WarmTemplate template_;
    std::filesystem::path folder_;
};

// Only what `account` made itself counts: a template is a running guest. Files that `record` has are not read. Throws
// Error{untrusted, not_found, io}.
[[nodiscard]] VerifiedTemplate verify_template(const Paths& paths, const std::string& id,
                                               const signing::TrustStore& trust, const std::string& account,
                                               registry::VerificationRecord* record);

} // namespace kiln::launcher
