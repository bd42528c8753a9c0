// SPDX-License-Identifier: Apache-2.0
#include "signing/keys.h"

#include "core/digest.h"
#include "core/error.h"
#include "signing/key_handle.h"

#include <openssl/err.h>
#include <openssl/pem.h>

namespace kiln::signing
{
namespace
{

constexpr std::size_t signature_size = 64; // RFC 8032, section 5.1.6

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

} // namespace

PublicKey PublicKey::from_pem(std::string_view pem)
{
    const Bio bio = read_only_bio(pem);
    KeyHandle key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) {
        throw Error(ErrorKind::untrusted, "this is not an Ed25519 public key in PEM form",
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

bool PublicKey::verify(std::string_view message, std::string_view signature) const
{
    if (signature.size() != signature_size) {
        return false;
    }
    const DigestContext context = new_digest_context();
    if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle_->key.get()) != 1) {
        openssl_failed("preparing to verify");
    }
    const int verdict =
        EVP_DigestVerify(context.get(), as_bytes(signature), signature.size(), as_bytes(message), message.size());
    ERR_clear_error();
    return verdict == 1;
}

SecretKey SecretKey::generate()
{
    const KeyContext context(EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr));
    EVP_PKEY* key = nullptr;
    if (!context || EVP_PKEY_keygen_init(context.get()) != 1 || EVP_PKEY_keygen(context.get(), &key) != 1) {
        openssl_failed("generating a key");
    }
    return SecretKey(std::make_shared<const Handle>(Handle{KeyHandle(key)}));
}

PublicKey SecretKey::public_key() const
{
    // The way through DER leaves the secret half behind.
    const Bio bio = wiped_bio();
    if (i2d_PUBKEY_bio(bio.get(), handle_->key.get()) != 1) {
        openssl_failed("writing a public key");
    }
    KeyHandle key(d2i_PUBKEY_bio(bio.get(), nullptr));
    if (!key) {
        openssl_failed("reading a public key");
    }
    return PublicKey(std::make_shared<const PublicKey::Handle>(PublicKey::Handle{std::move(key)}));
}

std::string SecretKey::sign(std::string_view message) const
{
    const DigestContext context = new_digest_context();
    std::string signature(signature_size, '\0');
    std::size_t length = signature.size();
    if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, handle_->key.get()) != 1 ||
        EVP_DigestSign(context.get(), as_bytes(signature), &length, as_bytes(message), message.size()) != 1 ||
        length != signature_size) {
        openssl_failed("signing");
    }
    return signature;
}

} // namespace kiln::signing
