// SPDX-License-Identifier: Apache-2.0
// A secret key in its file: PKCS#8 PEM, mode 0600, encrypted with PBES2 (AES-256-CBC, PBKDF2 with
// SHA-256) when there is a passphrase. Buffers that held key material are wiped.
#include "signing/key_handle.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::signing
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t longest_key_file = 16384;
constexpr std::size_t longest_passphrase = 1024; // what OpenSSL's reader has room for
constexpr int key_derivation_rounds = 600'000;   // OWASP's advice for PBKDF2 with SHA-256

struct WipedBuffer {
    std::array<char, longest_key_file> bytes{};
    std::size_t size = 0;

    WipedBuffer() = default;
    WipedBuffer(const WipedBuffer&) = delete;
    WipedBuffer& operator=(const WipedBuffer&) = delete;
    ~WipedBuffer() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
    [[nodiscard]] std::string_view text() const { return {bytes.data(), size}; }
};

// The modes that ssh accepts for a secret key: nothing for the group and the others.
void require_private(int fd, const fs::path& file)
{
    struct stat status {
    };
    if (::fstat(fd, &status) != 0) {
        throw system_error(errno, fmt::format("looking at {}", file.native()));
    }
    if (!S_ISREG(status.st_mode)) {
        throw Error(ErrorKind::untrusted, fmt::format("the secret key {} is not a regular file", file.native()));
    }
    if ((status.st_mode & 077U) != 0) {
        throw Error(ErrorKind::permission_denied,
                    fmt::format("the secret key {} has mode {:04o}, so other users can get at it", file.native(),
                                status.st_mode & 07777U),
                    fmt::format("`chmod 600 {}`, and make a new key if others may have read it", file.native()));
    }
}

void read_private_file(const fs::path& file, WipedBuffer& buffer)
{
    const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!fd) {
        throw system_error(errno, fmt::format("opening the secret key {}", file.native()));
    }
    require_private(fd.get(), file);
    while (buffer.size < buffer.bytes.size()) {
        char* const end = std::next(buffer.bytes.data(), static_cast<std::ptrdiff_t>(buffer.size));
        const ssize_t got = ::read(fd.get(), end, buffer.bytes.size() - buffer.size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw system_error(errno, fmt::format("reading the secret key {}", file.native()));
        }
        if (got == 0) {
            return;
        }
        buffer.size += static_cast<std::size_t>(got);
    }
    throw Error(ErrorKind::untrusted, fmt::format("{} is too large for a secret key", file.native()));
}

// Carries the passphrase source, and what it threw, through OpenSSL's C code.
struct PassphraseRequest {
    const PassphraseSource& source;
    bool asked = false;
    std::exception_ptr failure;
};

int give_passphrase(char* buffer, int size, int /*writing*/, void* context)
{
    auto& request = *static_cast<PassphraseRequest*>(context);
    request.asked = true;
    if (!request.source) {
        return -1;
    }
    try {
        std::string passphrase = request.source();
        const bool fits = passphrase.size() <= static_cast<std::size_t>(size);
        if (fits) {
            std::copy(passphrase.begin(), passphrase.end(), buffer);
        }
        const int length = fits ? static_cast<int>(passphrase.size()) : -1;
        OPENSSL_cleanse(passphrase.data(), passphrase.size());
        return length;
    } catch (...) {
        request.failure = std::current_exception();
        return -1;
    }
}

[[noreturn]] void refuse_key(const fs::path& file, const PassphraseRequest& request)
{
    ERR_clear_error();
    if (request.failure) {
        std::rethrow_exception(request.failure);
    }
    if (request.asked && !request.source) {
        throw Error(ErrorKind::permission_denied,
                    fmt::format("the secret key {} is encrypted, and there is nobody to ask for its passphrase",
                                file.native()));
    }
    if (request.asked) {
        throw Error(ErrorKind::permission_denied,
                    fmt::format("the passphrase of the secret key {} is wrong", file.native()),
                    "try again with the passphrase that the key was made with");
    }
    throw Error(ErrorKind::untrusted,
                fmt::format("{} is not an Ed25519 or ECDSA P-256 secret key in PKCS#8 PEM form", file.native()));
}

void write_encrypted(const Bio& bio, const KeyHandle& key, std::string_view passphrase)
{
    const Pkcs8 plain(EVP_PKEY2PKCS8(key.get()));
    if (!plain) {
        openssl_failed("encoding a key");
    }
    // PBES2, a random salt of the default length, and the default PRF, HMAC with SHA-256.
    const EncryptedPkcs8 encrypted(PKCS8_encrypt(-1, EVP_aes_256_cbc(), passphrase.data(),
                                                 static_cast<int>(passphrase.size()), nullptr, 0, key_derivation_rounds,
                                                 plain.get()));
    if (!encrypted || PEM_write_bio_PKCS8(bio.get(), encrypted.get()) != 1) {
        openssl_failed("encrypting a key");
    }
}

} // namespace

SecretKey SecretKey::load(const fs::path& file, const PassphraseSource& passphrase)
{
    WipedBuffer buffer;
    read_private_file(file, buffer);
    const Bio bio = read_only_bio(buffer.text());
    PassphraseRequest request{passphrase, false, nullptr};
    KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_passphrase, &request));
    if (!key || !canonical_public_key(key.get())) {
        refuse_key(file, request);
    }
    ERR_clear_error();
    return SecretKey(std::make_shared<const Handle>(Handle{std::move(key)}));
}

void SecretKey::save(const fs::path& file, std::string_view passphrase) const
{
    if (passphrase.size() > longest_passphrase) {
        throw Error(ErrorKind::usage, fmt::format("a passphrase has at most {} bytes", longest_passphrase));
    }
    const Bio bio = wiped_bio();
    if (!passphrase.empty()) {
        write_encrypted(bio, handle_->key, passphrase);
    } else if (PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_->key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
               1) {
        openssl_failed("encoding a key");
    }
    write_file_durably(file, bytes_of(bio), 0600);
}

} // namespace kiln::signing
