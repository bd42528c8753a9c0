// SPDX-License-Identifier: Apache-2.0
#include "core/digest.h"

#include "core/error.h"
#include "core/file_descriptor.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

namespace kiln
{

std::optional<Digest> Digest::parse(std::string_view text)
{
    constexpr std::string_view prefix = "sha256:";
    if (!text.starts_with(prefix)) {
        return std::nullopt;
    }
    text.remove_prefix(prefix.size());
    const bool hexadecimal =
        std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (text.size() != 64 || !hexadecimal) {
        return std::nullopt;
    }
    return Digest(std::string(text));
}

struct Sha256::State {
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>())
{
    if (!state_->context || EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1) {
        throw Error(ErrorKind::internal, "OpenSSL has no SHA-256");
    }
}

Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes)
{
    if (EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) != 1) {
        throw Error(ErrorKind::internal, "SHA-256 failed");
    }
}

Digest Sha256::finish()
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(state_->context.get(), hash, &length) != 1) {
        throw Error(ErrorKind::internal, "SHA-256 failed");
    }
    std::string hex;
    for (unsigned i = 0; i < length; ++i) {
        hex += fmt::format("{:02x}", hash[i]);
    }
    return Digest(std::move(hex));
}

Digest digest_of(std::string_view bytes)
{
    Sha256 hash;
    hash.update(bytes);
    return hash.finish();
}

Digest digest_of_file(const std::filesystem::path& path)
{
    const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", path.native()));
    }
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    Sha256 hash;
    std::vector<char> buffer(std::size_t{1} << 20U);
    for (;;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw system_error(errno, fmt::format("reading {}", path.native()));
        }
        if (got == 0) {
            return hash.finish();
        }
        hash.update({buffer.data(), static_cast<std::size_t>(got)});
    }
}

} // namespace kiln
