// SPDX-License-Identifier: Apache-2.0
#include "registry/organizations.h"

#include "bundle/object_reader.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "signing/trust_store.h"

#include <algorithm>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_file = mebibytes(4);
constexpr std::size_t most_organizations = 1000;
constexpr std::size_t most_members = 10'000;
constexpr std::size_t longest_name = 63;

Organization read_organization(bundle::ObjectReader reader)
{
    Organization organization{.name = reader.string("name", longest_name), .accounts = {}};
    if (!is_organization_name(organization.name)) {
        reader.refuse("name", "is not an organization's name: lower-case letters, digits and inner -, a letter first");
    }
    for (const Json& account : reader.array("accounts", most_members)) {
        if (!account.is_string() || !signing::is_account_id(account.get_ref<const std::string&>())) {
            reader.refuse("accounts", "holds what is not an account of 12 digits");
        }
        organization.accounts.push_back(account.get<std::string>());
    }
    reader.finish();
    return organization;
}

} // namespace

bool is_organization_name(std::string_view text)
{
    const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
    const auto known = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-'; };
    return !text.empty() && text.size() <= longest_name && letter(text.front()) && text.back() != '-' &&
           std::ranges::all_of(text, known);
}

std::vector<Organization> parse_organizations(std::string_view text, const std::string& file)
{
    try {
        const Json json = parse_json(text, file);
        bundle::ObjectReader reader(json, file);
        static_cast<void>(reader.integer("kiln_organizations", 1, 1));
        std::vector<Organization> organizations;
        const std::size_t count = reader.array("organizations", most_organizations).size();
        for (std::size_t i = 0; i < count; ++i) {
            organizations.push_back(read_organization(reader.element("organizations", i)));
            if (std::ranges::count(organizations, organizations.back().name, &Organization::name) > 1) {
                reader.refuse("organizations", organizations.back().name + " is there twice");
            }
        }
        reader.finish();
        return organizations;
    } catch (const Error& error) {
        throw Error(ErrorKind::untrusted, error.message(), "docs/trust.md shows what may be in it");
    }
}

std::vector<Organization> load_organizations(const fs::path& trust_folder)
{
    const fs::path file = trust_folder / "organizations.json";
    if (!fs::exists(fs::symlink_status(file))) {
        return {};
    }
    return parse_organizations(read_file(file, largest_file), file.native());
}

std::vector<std::string> organizations_of(const fs::path& trust_folder, std::string_view account)
{
    std::vector<std::string> names;
    for (const Organization& organization : load_organizations(trust_folder)) {
        if (std::ranges::find(organization.accounts, account) != organization.accounts.end()) {
            names.push_back(organization.name);
        }
    }
    std::ranges::sort(names);
    return names;
}

} // namespace kiln::registry
