// SPDX-License-Identifier: Apache-2.0
#include "signing/trust_store.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::signing
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_key_file(16384);

fs::path file_name_of(const PublicKey& key)
{
    const auto digest = Digest::parse(key.key_id());
    return digest->hex() + ".pem";
}

// Sorted, so that errors and orders don't depend on the file system. An absent folder is empty.
std::vector<fs::path> children_of(const fs::path& folder)
{
    std::vector<fs::path> children;
    if (!fs::exists(folder)) {
        return children;
    }
    std::error_code failure;
    for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
        children.push_back(entry->path());
    }
    if (failure) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("the trust store {} can't be read: {}", folder.native(), failure.message()));
    }
    std::sort(children.begin(), children.end());
    return children;
}

PublicKey load_key(const fs::path& file)
{
    try {
        PublicKey key = PublicKey::from_pem(read_file(file, largest_key_file));
        if (file_name_of(key) != file.filename()) {
            throw Error(ErrorKind::untrusted, fmt::format("its name should be {}", file_name_of(key).native()));
        }
        return key;
    } catch (const Error& error) {
        throw Error(ErrorKind::untrusted, fmt::format("the trusted key {} is damaged: {}", file.native(), error.what()),
                    "remove the file, or replace it by the account's public key");
    }
}

} // namespace

bool is_account_id(std::string_view text)
{
    return text.size() == 12 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<TrustStore::Entry> TrustStore::entries() const
{
    std::vector<Entry> entries;
    for (const fs::path& folder : children_of(folder_)) {
        const std::string account = folder.filename().native();
        if (!fs::is_directory(folder)) {
            continue;
        }
        if (!is_account_id(account)) {
            throw Error(ErrorKind::untrusted,
                        fmt::format("{} in the trust store is not an account of 12 digits", folder.native()),
                        "rename the folder to the account's id, or remove it");
        }
        for (PublicKey& key : keys_of(account)) {
            entries.push_back({account, std::move(key)});
        }
    }
    return entries;
}

std::vector<PublicKey> TrustStore::keys_of(std::string_view account) const
{
    std::vector<PublicKey> keys;
    if (!is_account_id(account)) {
        return keys;
    }
    for (const fs::path& file : children_of(folder_ / account)) {
        if (file.extension() == ".pem") { // not the half-written file of a killed process
            keys.push_back(load_key(file));
        }
    }
    return keys;
}

void TrustStore::trust(std::string_view account, const PublicKey& key) const
{
    if (!is_account_id(account)) {
        throw Error(ErrorKind::usage, "an account id has 12 digits");
    }
    const fs::path folder = folder_ / account;
    make_directories(folder, 0700);
    sync_directory(folder_);
    write_file_durably(folder / file_name_of(key), key.to_pem());
}

} // namespace kiln::signing
