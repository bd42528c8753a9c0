// SPDX-License-Identifier: Apache-2.0
// OpenSSL's handles with their owners, and the one way its failures become errors. Private to
// signing/: no header of the folder's interface includes this one.
#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

namespace kiln::signing
{

template <auto release> struct Deleter {
    template <typename T> void operator()(T* handle) const noexcept { release(handle); }
};

using KeyHandle = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using BigNumber = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Pkcs8 = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Deleter<PKCS8_PRIV_KEY_INFO_free>>;
using EncryptedPkcs8 = std::unique_ptr<X509_SIG, Deleter<X509_SIG_free>>;

// Throws Error{internal} with OpenSSL's reason, which never holds key material, and empties its
// error queue. `doing` is like "signing".
[[noreturn]] void openssl_failed(std::string_view doing);

// A memory BIO over `bytes`, which outlive it; and one that is written to and wiped when freed.
[[nodiscard]] Bio read_only_bio(std::string_view bytes);
[[nodiscard]] Bio wiped_bio();
// What was written to a memory BIO; valid as long as it is.
[[nodiscard]] std::string_view bytes_of(const Bio& bio);

[[nodiscard]] inline const unsigned char* as_bytes(std::string_view text)
{
    return reinterpret_cast<const unsigned char*>(text.data());
}
[[nodiscard]] inline unsigned char* as_bytes(std::string& text)
{
    return reinterpret_cast<unsigned char*>(text.data());
}

} // namespace kiln::signing
