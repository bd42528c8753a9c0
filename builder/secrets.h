// SPDX-License-Identifier: Apache-2.0
// The values of a recipe's secrets, in memory only: read from a file or an environment variable, handed to
// the `run` steps that name them (see run_script.h), and struck out of everything that is printed or kept. A value is
// no input of a layer's id: a digest of it in the cache would let anybody test guesses. So a changed secret makes no
// step run again.
#pragma once

#include "core/byte_size.h"
#include "recipes/recipe.h"

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

inline constexpr ByteSize largest_secret{std::uint64_t{64} << 10U};

class Secrets
{
public:
    Secrets() = default;
    // Reads those of `declared` that are in `names`. Throws Error{usage} for a variable that is not set, a value
    // that is empty or too large; Error{not_found, permission_denied, io} for a file; Error{internal} for a name
    // that is not declared. No message holds a value.
    Secrets(std::span<const recipes::Secret> declared, const std::set<std::string>& names);
    Secrets(const Secrets&) = delete;
    Secrets& operator=(const Secrets&) = delete;
    ~Secrets();

    // Throws Error{internal} for one that was not loaded.
    [[nodiscard]] const std::string& value(const std::string& name) const;

    // `text` with "***" for each value, also without the newline that ends most files, and for each longer
    // line of one. What a script makes of a secret (base64, a digest) can't be known here.
    [[nodiscard]] std::string redact(std::string text) const;

    // The same for text that was cut off at its end, where a part of a value may stand: that much less is returned.
    [[nodiscard]] std::string redact_cut(std::string text) const;

private:
    std::map<std::string, std::string> values_;
    std::vector<std::string> hidden_; // what is struck out, the longest first
};

// The names that `steps` ask for.
[[nodiscard]] std::set<std::string> secrets_of(std::span<const recipes::Step> steps);

} // namespace kiln::builder
