// SPDX-License-Identifier: Apache-2.0
#include "signing/keys.h"

#include "core/digest.h"
#include "core/error.h"
#include "signing/key_handle.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>

namespace kiln::signing
{
namespace
{

constexpr std::size_t ed25519_signature_size = 64; // RFC 8032, section 5.1.6
constexpr std::size_t coordinate_size = 32;        // of a point of P-256

// A SubjectPublicKeyInfo (RFC 5480) of a named P-256 key up to its point, 0x04, X and Y.
constexpr std::array<unsigned char, 27> p256_prefix{0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};

// OpenSSL asks the terminal for a passphrase unless told otherwise.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*context*/)
{
    return -1;
}

DigestContext new_digest_context()
{
    DigestContext context(EVP_MD_CTX_new());
    if (!context) {
        openssl_failed("allocating memory");
    }
    return context;
}

bool is_p256(EVP_PKEY* key)
{
    std::array<char, 64> group{};
    std::size_t length = 0;
    return EVP_PKEY_get_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) == 1 &&
           std::string_view(group.data(), length) == SN_X9_62_prime256v1;
}

std::string coordinate_of(EVP_PKEY* key, const char* name)
{
    BIGNUM* number = nullptr;
    std::string bytes(coordinate_size, '\0');
    if (EVP_PKEY_get_bn_param(key, name, &number) != 1 ||
        BN_bn2binpad(BigNumber(number).get(), as_bytes(bytes), static_cast<int>(bytes.size())) < 0) {
        openssl_failed("reading a point");
    }
    return bytes;
}

KeyHandle public_key_of_der(std::string_view der)
{
    const unsigned char* at = as_bytes(der);
    KeyHandle key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
    if (!key) {
        openssl_failed("reading a public key");
    }
    return key;
}

// Of Ed25519 the message is not hashed first.
const EVP_MD* hash_of(EVP_PKEY* key)
{
    return EVP_PKEY_get_id(key) == EVP_PKEY_EC ? EVP_sha256() : nullptr;
}

} // namespace

std::string_view name_of(KeyType type) noexcept
{
    return type == KeyType::ed25519 ? "ed25519" : "ecdsa-p256";
}

std::optional<KeyType> parse_key_type(std::string_view name)
{
    for (const KeyType type : {KeyType::ed25519, KeyType::ecdsa_p256}) {
        if (name == name_of(type)) {
            return type;
        }
    }
    return std::nullopt;
}

KeyHandle canonical_public_key(EVP_PKEY* key)
{
    if (is_p256(key)) {
        std::string der(reinterpret_cast<const char*>(p256_prefix.data()), p256_prefix.size());
        der += coordinate_of(key, OSSL_PKEY_PARAM_EC_PUB_X);
        der += coordinate_of(key, OSSL_PKEY_PARAM_EC_PUB_Y);
        return public_key_of_der(der);
    }
    if (EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
        return nullptr;
    }
    // The way through DER leaves the secret half behind.
    const Bio bio = wiped_bio();
    if (i2d_PUBKEY_bio(bio.get(), key) != 1) {
        openssl_failed("writing a public key");
    }
    return public_key_of_der(bytes_of(bio));
}

PublicKey PublicKey::from_pem(std::string_view pem)
{
    const Bio bio = read_only_bio(pem);
    const KeyHandle read(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    KeyHandle key = read ? canonical_public_key(read.get()) : nullptr;
    if (!key) {
        throw Error(ErrorKind::untrusted, "this is not an Ed25519 or ECDSA P-256 public key in PEM form",
                    "`openssl pkey -in SECRET.pem -pubout` writes one");
    }
    return PublicKey(std::make_shared<const Handle>(Handle{std::move(key)}));
}

std::string PublicKey::to_pem() const
{
    const Bio bio = wiped_bio();
    if (PEM_write_bio_PUBKEY(bio.get(), handle_->key.get()) != 1) {
        openssl_failed("writing a public key");
    }
    return std::string(bytes_of(bio));
}

std::string PublicKey::key_id() const
{
    const Bio bio = wiped_bio();
    if (i2d_PUBKEY_bio(bio.get(), handle_->key.get()) != 1) {
        openssl_failed("writing a public key");
    }
    return digest_of(bytes_of(bio)).to_string();
}

KeyType PublicKey::type() const
{
    return EVP_PKEY_get_id(handle_->key.get()) == EVP_PKEY_EC ? KeyType::ecdsa_p256 : KeyType::ed25519;
}

bool PublicKey::verify(std::string_view message, std::string_view signature) const
{
    if (signature.empty() || (type() == KeyType::ed25519 && signature.size() != ed25519_signature_size)) {
        return false;
    }
    EVP_PKEY* const key = handle_->key.get();
    const DigestContext context = new_digest_context();
    if (EVP_DigestVerifyInit(context.get(), nullptr, hash_of(key), nullptr, key) != 1) {
        openssl_failed("preparing to verify");
    }
    const int verdict =
        EVP_DigestVerify(context.get(), as_bytes(signature), signature.size(), as_bytes(message), message.size());
    ERR_clear_error();
    return verdict == 1;
}

SecretKey SecretKey::generate(KeyType type)
{
    KeyHandle key(type == KeyType::ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                           : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", SN_X9_62_prime256v1));
    if (!key) {
        openssl_failed("generating a key");
    }
    return SecretKey(std::make_shared<const Handle>(Handle{std::move(key)}));
}

PublicKey SecretKey::public_key() const
{
    KeyHandle key = canonical_public_key(handle_->key.get());
    return PublicKey(std::make_shared<const PublicKey::Handle>(PublicKey::Handle{std::move(key)}));
}

std::string SecretKey::sign(std::string_view message) const
{
    EVP_PKEY* const key = handle_->key.get();
    const DigestContext context = new_digest_context();
    auto length = static_cast<std::size_t>(EVP_PKEY_get_size(key)); // the longest one
    std::string signature(length, '\0');
    if (EVP_DigestSignInit(context.get(), nullptr, hash_of(key), nullptr, key) != 1 ||
        EVP_DigestSign(context.get(), as_bytes(signature), &length, as_bytes(message), message.size()) != 1) {
        openssl_failed("signing");
    }
    signature.resize(length);
    return signature;
}

} // namespace kiln::signing
