// SPDX-License-Identifier: Apache-2.0
// Reads one object of a hostile JSON document, field by field. Every complaint is an
// Error{untrusted} that names the field by its path, as in `manifest: os.version: ...`.
// finish() refuses the keys that nobody asked for.
#pragma once

#include "core/digest.h"
#include "core/json.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace kiln::bundle
{

enum class Lines { one, many }; // whether a string may hold newlines and tabs

class ObjectReader
{
public:
    // `json` outlives the reader. `path` is empty for the document itself.
    ObjectReader(const Json& json, std::string document, std::string path = {});

    [[nodiscard]] bool has(const std::string& key) const;
    [[nodiscard]] const Json& any(const std::string& key);
    // At most `longest` bytes, and no control character that `lines` does not allow.
    [[nodiscard]] std::string string(const std::string& key, std::size_t longest, Lines lines = Lines::one);
    [[nodiscard]] std::optional<std::string> string_or_null(const std::string& key, std::size_t longest,
                                                            Lines lines = Lines::one);
    [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t smallest, std::int64_t largest);
    [[nodiscard]] bool boolean(const std::string& key);
    [[nodiscard]] Digest digest(const std::string& key);
    [[nodiscard]] ObjectReader object(const std::string& key);
    [[nodiscard]] const Json& array(const std::string& key, std::size_t longest);
    // The reader of element `index` of the array `key`.
    [[nodiscard]] ObjectReader element(const std::string& key, std::size_t index);

    void finish() const;
    [[noreturn]] void refuse(std::string_view key, std::string_view complaint) const;

private:
    const Json* json_;
    std::string document_;
    std::string path_;
    std::set<std::string> read_;
};

} // namespace kiln::bundle
