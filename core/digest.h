// SPDX-License-Identifier: Apache-2.0
// SHA-256, the only digest of Kiln, written as OCI does: "sha256:" and 64 lower-case hex digits.
#pragma once

#include <compare>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kiln
{

class Digest
{
public:
    // nullopt unless `text` is "sha256:" and 64 lower-case hex digits.
    [[nodiscard]] static std::optional<Digest> parse(std::string_view text);

    [[nodiscard]] std::string to_string() const { return "sha256:" + hex_; }
    [[nodiscard]] const std::string& hex() const noexcept { return hex_; }
    auto operator<=>(const Digest&) const = default;

private:
    friend class Sha256;
    explicit Digest(std::string hex) : hex_(std::move(hex)) {}
    std::string hex_;
};

// A running SHA-256. One thread at a time.
class Sha256
{
public:
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    void update(std::string_view bytes);
    // Ends the computation; the object can't be used after it.
    [[nodiscard]] Digest finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

[[nodiscard]] Digest digest_of(std::string_view bytes);

// Reads the file in chunks; throws Error{not_found, permission_denied, io}.
[[nodiscard]] Digest digest_of_file(const std::filesystem::path& path);

} // namespace kiln
