// SPDX-License-Identifier: Apache-2.0
// Ed25519 keys (RFC 8032). Secret and public keys are different types; no error or output holds key
// material. Secret keys are kept as PKCS#8 PEM with mode 0600, encrypted when a passphrase is given.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace kiln::signing
{

class PublicKey
{
public:
    // Throws Error{untrusted} unless it is an Ed25519 SubjectPublicKeyInfo PEM.
    [[nodiscard]] static PublicKey from_pem(std::string_view pem);
    [[nodiscard]] std::string to_pem() const;
    // "sha256:..." of the DER SubjectPublicKeyInfo.
    [[nodiscard]] std::string key_id() const;
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
    [[nodiscard]] static SecretKey generate();
    // Throws Error{not_found, permission_denied, untrusted}; {permission_denied} also when others
    // may read the file or the passphrase is wrong.
    [[nodiscard]] static SecretKey load(const std::filesystem::path& file, const PassphraseSource& passphrase);
    // Durable, mode 0600. An empty passphrase leaves the PKCS#8 unencrypted.
    void save(const std::filesystem::path& file, std::string_view passphrase) const;

    [[nodiscard]] PublicKey public_key() const;
    [[nodiscard]] std::string sign(std::string_view message) const; // 64 bytes

private:
    struct Handle;
    explicit SecretKey(std::shared_ptr<const Handle> handle) : handle_(std::move(handle)) {}
    std::shared_ptr<const Handle> handle_;
};

} // namespace kiln::signing
