// SPDX-License-Identifier: Apache-2.0
// The rules for users and groups.
#include "recipes/field_rules.h"
#include "recipes/rule_helpers.h"

#include <fmt/format.h>

#include <array>

namespace kiln::recipes
{
namespace
{

constexpr std::size_t longest_account = 32;
constexpr std::size_t longest_key = 16384;
constexpr std::size_t longest_comment = 256;

Checked<std::string> check_new_account(std::string_view text, std::string_view noun)
{
    const bool good = !text.empty() && text.size() <= longest_account && consists_of(text, lower_case, digits, "_-") &&
                      !is_one_of(text.front(), "-0123456789");
    if (!good) {
        return Problem{fmt::format("{} is not a {} name", in_quotes(text), noun),
                       R"(lower-case letters, digits, "-" and "_", a letter or "_" first, at most 32)"};
    }
    return std::string(text);
}

Checked<std::string> check_new_user(std::string_view text)
{
    return check_new_account(text, "user");
}

Checked<std::string> check_new_group(std::string_view text)
{
    return check_new_account(text, "group");
}

Checked<std::string> check_authorized_key(std::string_view text)
{
    // A line of sshd(8)'s AUTHORIZED_KEYS FILE FORMAT: options that may be absent, type, base64.
    if (text.find(' ') == std::string_view::npos || text.starts_with('#') || text.starts_with("-----")) {
        return Problem{in_quotes(text) + " is not a public SSH key", "paste the one line of a .pub file"};
    }
    if (text.size() > longest_key) {
        return Problem{fmt::format("is longer than {} bytes", longest_key), "paste the one line of a .pub file"};
    }
    return std::string(text);
}

// passwd(5) keeps its fields apart with colons.
Checked<std::string> check_passwd_path(std::string_view text)
{
    if (text.find(':') != std::string_view::npos) {
        return Problem{in_quotes(text) + " holds a colon", "passwd(5) has no way to write it"};
    }
    return check_guest_path(text);
}

Checked<std::string> check_user_comment(std::string_view text)
{
    if (text.size() > longest_comment || text.find(':') != std::string_view::npos) {
        return Problem{in_quotes(text) + " is not a user's comment",
                       fmt::format("a name or so, at most {} bytes, without colons", longest_comment)};
    }
    return std::string(text);
}

struct HashMethod {
    std::string_view prefix;
    std::size_t length;      // of the hash at the end
    std::size_t salt_fields; // after the prefix
};

// crypt(5); what is left out there as weak is left out here.
constexpr std::array<HashMethod, 6> hash_methods{{
    {"$y$", 43, 2},
    {"$gy$", 43, 2},
    {"$7$", 43, 1},
    {"$2b$", 53, 1}, // salt and hash in one
    {"$6$", 86, 1},
    {"$5$", 43, 1},
}};

bool is_hash(std::string_view text, const HashMethod& method)
{
    if (!text.starts_with(method.prefix)) {
        return false;
    }
    text.remove_prefix(method.prefix.size());
    const std::size_t end_of_salt = text.rfind('$');
    if (end_of_salt == std::string_view::npos || end_of_salt == 0 || end_of_salt > 128) {
        return false;
    }
    const std::string_view salt = text.substr(0, end_of_salt);
    const std::string_view hash = text.substr(end_of_salt + 1);
    const auto fields = 1 + static_cast<std::size_t>(std::ranges::count(salt, '$'));
    // "$5$rounds=5000$salt$": one field more.
    const bool rounds = salt.starts_with("rounds=") && fields == method.salt_fields + 1;
    return (fields == method.salt_fields || rounds) && hash.size() == method.length &&
           consists_of(hash, lower_case, upper_case, digits, "./") &&
           consists_of(salt, lower_case, upper_case, digits, "./$=");
}

// What is not a hash may be a password: it is not repeated, nor is its line.
Checked<std::string> check_password_hash(std::string_view text)
{
    if (std::ranges::any_of(hash_methods, [&](const HashMethod& method) { return is_hash(text, method); })) {
        return std::string(text);
    }
    return Problem{"is not a hash of crypt(5)", "as `mkpasswd` prints it: \"$y$j9T$...\"; never the password itself",
                   true};
}

} // namespace

namespace rules
{

const Rule<std::string> new_user{check_new_user, R"("admin")"};
const Rule<std::string> new_group{check_new_group, R"("developers")"};
const Rule<std::string> user_comment{check_user_comment, R"("Ada Lovelace")"};
const Rule<std::string> home{check_passwd_path, R"("/home/admin")"};
const Rule<std::string> shell{check_passwd_path, R"("/bin/bash")"};
const Rule<std::string> password_hash{check_password_hash, R"("$y$j9T$...")"};
const Rule<std::string> authorized_key{check_authorized_key, R"("ssh-ed25519 AAAA... me@example.org")"};

} // namespace rules
} // namespace kiln::recipes
