// SPDX-License-Identifier: Apache-2.0
// The only file of recipes/ that knows OpenSSL.
#include "recipes/certificate_text.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

namespace kiln::recipes
{
namespace
{

template <auto function> struct Deleter {
    template <class T> void operator()(T* object) const { function(object); }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;

// A passphrase is never asked for on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/)
{
    return -1;
}

Certificate read_certificate(BIO* bio)
{
    Certificate certificate(PEM_read_bio_X509(bio, nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    return certificate;
}

} // namespace

std::optional<Problem> check_certificate(const std::string& pem)
{
    if (find_hidden_character(pem, true)) {
        return Problem{"the file is not a certificate in PEM", "`openssl x509 -in FILE` writes it so"};
    }
    if (pem.find("PRIVATE KEY-----") != std::string::npos) {
        return Problem{"the file holds a private key", "it would be in every image; keep only the certificate"};
    }
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); // at most 16 MiB
    if (!bio || !read_certificate(bio.get())) {
        return Problem{"the file is not a certificate in PEM", "`openssl x509 -in FILE` writes it so"};
    }
    if (read_certificate(bio.get())) {
        return Problem{"the file holds more than one certificate", "give each its own step"};
    }
    return std::nullopt;
}

} // namespace kiln::recipes
