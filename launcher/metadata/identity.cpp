// SPDX-License-Identifier: Apache-2.0
#include "launcher/metadata/identity.h"

#include "core/files.h"
#include "launcher/metadata/metadata_tree.h"
#include "signing/base64.h"

namespace kiln::launcher
{
namespace
{

constexpr const char* identity_file = "identity.json";

} // namespace

void write_identity(const std::filesystem::path& folder, const Instance& instance,
                    const std::optional<signing::SecretKey>& key)
{
    if (!key) {
        std::filesystem::remove(folder / identity_file);
        return;
    }
    const std::string document = identity_document(instance);
    const Json json = {{"document", document}, {"signature", signing::base64(key->sign(document))}};
    write_file_durably(folder / identity_file, json.dump(2) + "\n", 0600);
}

std::optional<SignedIdentity> load_identity(const std::filesystem::path& folder, const Instance& instance)
{
    const std::filesystem::path file = folder / identity_file;
    if (!std::filesystem::exists(file)) {
        return std::nullopt;
    }
    const Json json = parse_json(read_file(file, mebibytes(1)), file.native());
    SignedIdentity identity{.document = string_member(json, "document", file.native()),
                            .signature = string_member(json, "signature", file.native())};
    return identity.document == identity_document(instance) ? std::optional(std::move(identity)) : std::nullopt;
}

} // namespace kiln::launcher
