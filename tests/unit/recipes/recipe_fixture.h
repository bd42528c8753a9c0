// SPDX-License-Identifier: Apache-2.0
// A recipe that is right, to be changed in one place, and what the parser says of the change.
#pragma once

#include "recipes/recipe.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace kiln::recipes::test
{

inline const std::string good_recipe = R"(name = "tiny"
version = "1.0.0"
architecture = "x86_64"

[base]
bootstrap = "debian"
suite = "bookworm"

[[storage]]
size = "1GiB"
filesystem = "ext4"
)";

// The good recipe with `from` replaced by `to`.
inline std::string changed(std::string_view from, std::string_view to)
{
    std::string text = good_recipe;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, text.npos) << from;
    return text.replace(at, from.size(), to);
}

// The good recipe with lines at its end (from line 12 on).
inline std::string extended(std::string_view lines)
{
    return good_recipe + std::string(lines);
}

// A certificate that signs itself, until 2126.
inline const std::string certificate = R"(-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUW1XIkxfynjQUWyGcdE9On+zS8RowCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOS2lsbiB0ZXN0IHJvb3QwIBcNMjYxMTI1MTkzODM0WhgPMjEy
NjExMDExOTM4MzRaMBkxFzAVBgNVBAMMDktpbG4gdGVzdCByb290MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEBciV0dabHT0dRsQEHktnXmqKkIhp+9ppmXXLQZDW
FCg0nNp+iapbKQ5JQDsoudHLKsGL35WTdeB0LTlm88RxwKNTMFEwHQYDVR0OBBYE
FNnuR4GwSp7uyU97VvXyI9FXtkzDMB8GA1UdIwQYMBaAFNnuR4GwSp7uyU97VvXy
I9FXtkzDMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgJ8b3HoEe
SthoNxV109P/2vno9Ut7XCTmVSm89ixP2e4CIQCNQSX4ox79NZMAbj+BMUp3aG6u
368MHjCEYZxpfMDkpw==
-----END CERTIFICATE-----
)";

inline std::vector<Diagnostic> diagnostics_of(std::string_view text, const std::filesystem::path& file = "x.toml")
{
    try {
        (void)parse_recipe(text, file);
    } catch (const RecipeError& error) {
        return error.diagnostics();
    }
    return {};
}

// The diagnostics as "LINE:COLUMN path: message | hint", one a line.
inline std::string summary_of(std::string_view text, const std::filesystem::path& file = "x.toml")
{
    std::string out;
    for (const Diagnostic& diagnostic : diagnostics_of(text, file)) {
        out += std::to_string(diagnostic.position.line) + ":" + std::to_string(diagnostic.position.column) + " " +
               diagnostic.path + ": " + diagnostic.message + " | " + diagnostic.hint + "\n";
    }
    return out;
}

inline std::string what_of(std::string_view text, const std::filesystem::path& file = "x.toml")
{
    try {
        (void)parse_recipe(text, file);
    } catch (const RecipeError& error) {
        return error.what();
    }
    return "no error";
}

} // namespace kiln::recipes::test
