// SPDX-License-Identifier: Apache-2.0
#include "signing/trust_store.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::signing
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_key_file(16384);
constexpr ByteSize largest_statement(65536);

std::string hex_of(std::string_view key_id)
{
    const auto digest = Digest::parse(key_id);
    return digest ? digest->hex() : std::string();
}

fs::path file_name_of(const PublicKey& key)
{
    return hex_of(key.key_id()) + ".pem";
}

// Beside KEYHEX.pem.
fs::path statement_file(const fs::path& key_file, KeyStatementClaim::Kind kind)
{
    return fs::path(key_file).replace_extension(kind == KeyStatementClaim::Kind::rotation ? ".rotation.json"
                                                                                          : ".revocation.json");
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
        throw system_error(failure.value(), fmt::format("reading the trust store {}", folder.native()));
    }
    std::sort(children.begin(), children.end());
    return children;
}

PublicKey load_key(const fs::path& file)
{
    const std::string text = read_file(file, largest_key_file); // what can't be read is not damaged
    try {
        PublicKey key = PublicKey::from_pem(text);
        if (file_name_of(key) != file.filename()) {
            throw Error(ErrorKind::untrusted, fmt::format("its name should be {}", file_name_of(key).native()));
        }
        return key;
    } catch (const Error& error) {
        throw Error(ErrorKind::untrusted, fmt::format("the trusted key {} is damaged: {}", file.native(), error.what()),
                    "remove the file, or replace it by the account's public key");
    }
}

// Runs `verify` on the statement's envelope when there is one. A damaged one is never as good as none.
template <typename Function>
auto read_statement(const fs::path& key_file, KeyStatementClaim::Kind kind, const Function& verify)
    -> std::optional<decltype(verify(std::string()))>
{
    const fs::path file = statement_file(key_file, kind);
    if (!fs::exists(fs::symlink_status(file))) {
        return std::nullopt;
    }
    const std::string text = read_file(file, largest_statement);
    try {
        return verify(text);
    } catch (const Error& error) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("what was said about a key in {} is damaged: {}", file.native(), error.what()),
                    "get it again from who said it, and `kiln key apply FILE`");
    }
}

std::string short_id(std::string_view key_id)
{
    return std::string(key_id.substr(0, 19)); // "sha256:" and 12 digits
}

} // namespace

bool is_account_id(std::string_view text)
{
    return text.size() == 12 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::string> TrustedKey::refusal(std::string_view signed_at) const
{
    const bool dated = is_iso_time(signed_at);
    const std::string id = short_id(key.key_id());
    if (revoked && (!revoked->since || !dated || signed_at >= *revoked->since)) {
        return fmt::format("its key {} was revoked at {}{}: {}", id, revoked->at,
                           revoked->since ? " for what it signed since " + *revoked->since : std::string(),
                           revoked->reason);
    }
    if (rotated && !rotated->keeps_images) {
        return fmt::format("its key {} was replaced at {} by {}, which does not vouch for what it signed", id,
                           rotated->at, short_id(rotated->new_key.key_id()));
    }
    if (rotated && (!dated || signed_at > rotated->at)) { // within one second either came first
        return fmt::format("its key {} was replaced at {} by {}, and may sign nothing after that", id, rotated->at,
                           short_id(rotated->new_key.key_id()));
    }
    return std::nullopt;
}

bool TrustedKey::counts_without_a_time() const
{
    return !revoked && (!rotated || rotated->keeps_images);
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
        for (TrustedKey& key : all_keys_of(account)) {
            entries.push_back({account, std::move(key)});
        }
    }
    return entries;
}

std::vector<PublicKey> TrustStore::bare_keys_of(std::string_view account) const
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

TrustedKey TrustStore::load(std::string_view account, const fs::path& file) const
{
    TrustedKey trusted{.key = load_key(file)};
    using Kind = KeyStatementClaim::Kind;
    trusted.rotated = read_statement(
        file, Kind::rotation, [&](const std::string& text) { return verify_rotation(text, account, trusted.key); });
    trusted.revoked = read_statement(file, Kind::revocation, [&](const std::string& text) {
        Revocation revocation = verify_revocation(text, bare_keys_of(claim_of(text).by));
        if (revocation.account != account || revocation.key != trusted.key.key_id()) {
            throw Error(ErrorKind::untrusted, "it is about another key");
        }
        return revocation;
    });
    return trusted;
}

std::vector<TrustedKey> TrustStore::all_keys_of(std::string_view account) const
{
    std::vector<TrustedKey> keys;
    if (!is_account_id(account)) {
        return keys;
    }
    for (const fs::path& file : children_of(folder_ / account)) {
        if (file.extension() == ".pem") {
            keys.push_back(load(account, file));
        }
    }
    return keys;
}

std::vector<PublicKey> TrustStore::keys_of(std::string_view account) const
{
    std::vector<PublicKey> keys;
    for (const TrustedKey& trusted : all_keys_of(account)) {
        if (trusted.counts_without_a_time()) {
            keys.push_back(trusted.key);
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

KeyStatementClaim TrustStore::apply(std::string_view envelope, From from) const
{
    KeyStatementClaim claim = claim_of(envelope);
    const fs::path file = folder_ / claim.account / (hex_of(claim.key) + ".pem");
    if (!fs::exists(file)) {
        throw Error(ErrorKind::not_found,
                    fmt::format("the key {} of account {} is not in the trust store", claim.key, claim.account),
                    "`kiln key list` shows what is there");
    }
    if (from == From::outside && claim.by != claim.account) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("account {} has no say about the keys of account {}", claim.by, claim.account));
    }
    const TrustedKey known = load(claim.account, file);
    const bool rotation = claim.kind == KeyStatementClaim::Kind::rotation;
    const fs::path target = statement_file(file, claim.kind);
    if (rotation && known.revoked) {
        throw Error(
            ErrorKind::untrusted,
            fmt::format("the key {} was revoked, and can't name another one: {}", claim.key, known.revoked->reason),
            "get the account's new public key from its owner, and `kiln key trust ACCOUNT FILE`");
    }
    if ((rotation ? known.rotated.has_value() : known.revoked.has_value()) &&
        read_file(target, largest_statement) != envelope) {
        throw Error(ErrorKind::conflict,
                    fmt::format("the key {} was {} already", claim.key, rotation ? "replaced" : "revoked"),
                    "`kiln key list` shows by what, or why");
    }
    if (rotation) {
        trust(claim.account, verify_rotation(envelope, claim.account, known.key).new_key);
    } else {
        static_cast<void>(verify_revocation(envelope, bare_keys_of(claim.by)));
    }
    write_file_durably(target, envelope);
    return claim;
}

TrustStore::Entry TrustStore::find(std::string_view text) const
{
    const std::string_view hex = text.starts_with("sha256:") ? text.substr(7) : text;
    constexpr std::size_t shortest = 8;
    std::vector<Entry> found;
    if (hex.size() >= shortest) {
        for (Entry& entry : entries()) {
            if (hex_of(entry.trusted.key.key_id()).starts_with(hex)) {
                found.push_back(std::move(entry));
            }
        }
    }
    if (found.size() == 1) {
        return std::move(found.front());
    }
    const std::string shown = printable(text.substr(0, 100), false);
    if (!found.empty()) {
        throw Error(ErrorKind::usage, fmt::format("{} names {} trusted keys", shown, found.size()),
                    "give more of its digits; `kiln key list` shows them");
    }
    throw Error(ErrorKind::not_found, fmt::format("no trusted key has the id {}", shown),
                "`kiln key list` shows their ids; 8 digits of one are enough");
}

} // namespace kiln::signing
