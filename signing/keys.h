// SPDX-License-Identifier: Apache-2.0
// Keys: Ed25519 (RFC 8032) and ECDSA on P-256 with SHA-256 (FIPS 186-4). Secret and public keys are different types; no
// error or output holds key material. Secret keys are kept as PKCS#8 PEM with mode 0600, encrypted when a passphrase is
// given.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kiln::signing
{

enum class KeyType { ed25519, ecdsa_p256 };
[[nodiscard]] std::string_view name_of(KeyType type) noexcept; // "ed25519", "ecdsa-p256"
[[nodiscard]] std::optional<KeyType> parse_key_type(std::string_view name);

class PublicKey
{
public:
    // Throws Error{untrusted} unless it is a SubjectPublicKeyInfo PEM of one of the types. However a P-256 key writes
    // its point and curve, it becomes the same key: one key never has two ids.
    [[nodiscard]] static PublicKey from_pem(std::string_view pem);
    [[nodiscard]] std::string to_pem() const;
    // "sha256:..." of the DER SubjectPublicKeyInfo.
    [[nodiscard]] std::string key_id() const;
    [[nodiscard]] KeyType type() const;
    // Of Ed25519: 64 bytes; of ECDSA: the DER of RFC 3279.
    [[nodiscard]] bool verify(std::string_view message, std::string_view signature) const;

private:
    friend class SecretKey;
    struct Handle;
    explicit PublicKey(std::shared_ptr<const Handle> handle) : handle_(std::move(handle)) {}
    std::shared_ptr<const Handle> handle_;
};

// Asked only when the key file is encrypted; returns the passphrase.
using PassphraseSource = std::function<std::string()>;

class SecretKey
{
public:
    [[nodiscard]] static SecretKey generate(KeyType type = KeyType::ed25519);
    // Throws Error{not_found, permission_denied, untrusted}; {permission_denied} also when others
    // may read the file or the passphrase is wrong.
    [[nodiscard]] static SecretKey load(const std::filesystem::path& file, const PassphraseSource& passphrase);
    // Durable, mode 0600. An empty passphrase leaves the PKCS#8 unencrypted.
    void save(const std::filesystem::path& file, std::string_view passphrase) const;

    [[nodiscard]] PublicKey public_key() const;
    [[nodiscard]] std::string sign(std::string_view message) const; // as PublicKey::verify() takes it

private:
    struct Handle;
    explicit SecretKey(std::shared_ptr<const Handle> handle) : handle_(std::move(handle)) {}
    std::shared_ptr<const Handle> handle_;
};

} // namespace kiln::signing
