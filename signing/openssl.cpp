// SPDX-License-Identifier: Apache-2.0
#include "signing/openssl.h"

#include "core/error.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include <climits>

namespace kiln::signing
{

void openssl_failed(std::string_view doing)
{
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    const std::string text = reason == nullptr ? "no reason given" : reason;
    ERR_clear_error();
    throw Error(ErrorKind::internal, fmt::format("OpenSSL failed while {}: {}", doing, text));
}

Bio read_only_bio(std::string_view bytes)
{
    if (bytes.size() > INT_MAX) {
        throw Error(ErrorKind::internal, "a key file is too large");
    }
    Bio bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    if (!bio) {
        openssl_failed("allocating memory");
    }
    return bio;
}

Bio wiped_bio()
{
    Bio bio(BIO_new(BIO_s_secmem()));
    if (!bio) {
        openssl_failed("allocating memory");
    }
    return bio;
}

std::string_view bytes_of(const Bio& bio)
{
    const char* data = nullptr;
    const long length = BIO_ctrl(bio.get(), BIO_CTRL_INFO, 0, &data);
    return length <= 0 ? std::string_view() : std::string_view(data, static_cast<std::size_t>(length));
}

} // namespace kiln::signing
