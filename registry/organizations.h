// SPDX-License-Identifier: Apache-2.0
// Organizations: named sets of accounts that an image can be shared with as one. Which accounts are in which is
// TRUST/organizations.json, the word of whoever keeps this home (docs/trust.md); without the file there are none.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::registry
{

// 1 to 63 lower-case letters, digits and inner "-", beginning with a letter: never an account.
[[nodiscard]] bool is_organization_name(std::string_view text);

struct Organization {
    std::string name;
    std::vector<std::string> accounts;
};

// `file` is what errors call it. Throws Error{untrusted} that names the field.
[[nodiscard]] std::vector<Organization> parse_organizations(std::string_view text, const std::string& file);
[[nodiscard]] std::vector<Organization> load_organizations(const std::filesystem::path& trust_folder);

// The names of those that the account is in, sorted.
[[nodiscard]] std::vector<std::string> organizations_of(const std::filesystem::path& trust_folder,
                                                        std::string_view account);

} // namespace kiln::registry
