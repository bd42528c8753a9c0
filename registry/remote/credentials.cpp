// SPDX-License-Identifier: Apache-2.0
#include "registry/remote/credentials.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "signing/base64.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <sys/stat.h>

namespace kiln::registry::remote
{
namespace fs = std::filesystem;
namespace
{

std::optional<fs::path> folder_in(const char* variable)
{
    const char* value = std::getenv(variable);
    return value != nullptr && *value == '/' ? std::optional(fs::path(value)) : std::nullopt;
}

// A parser's message would show a part of the text.
Json parse_secret(const std::string& text, const fs::path& file)
{
    try {
        Json json = parse_json(text, "credentials");
        if (json.is_object()) {
            return json;
        }
    } catch (const Error&) { // NOLINT(bugprone-empty-catch)
    }
    throw Error(ErrorKind::io, fmt::format("{} is not a file of credentials: it is not a JSON object", file.native()),
                "`skopeo login --authfile FILE HOST` writes one");
}

std::optional<std::string> read_if_there(const fs::path& file)
{
    try {
        return read_file(file, mebibytes(1));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::not_found) {
            throw;
        }
        return std::nullopt;
    }
}

void require_private(const fs::path& file)
{
    struct stat status {
    };
    if (::stat(file.c_str(), &status) != 0) {
        throw system_error(errno, fmt::format("opening {}", file.native()));
    }
    if ((status.st_mode & 077U) != 0) {
        throw Error(ErrorKind::permission_denied,
                    fmt::format("{} holds passwords, and the group or others can get at it", file.native()),
                    fmt::format("chmod 600 {}", file.native()));
    }
}

// "https://HOST/v1/" and "HOST" are one.
std::string_view plain_key(std::string_view key)
{
    for (const std::string_view prefix : {"https://", "http://"}) {
        if (key.starts_with(prefix)) {
            key.remove_prefix(prefix.size());
        }
    }
    for (const std::string_view suffix : {"/", "/v1", "/v2"}) {
        if (key.ends_with(suffix)) {
            key.remove_suffix(suffix.size());
        }
    }
    return key;
}

std::string text_of(const Json& entry, const char* key)
{
    const auto found = entry.find(key);
    return found != entry.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<Credentials> credentials_of(const Json& entry, const fs::path& file)
{
    if (!entry.is_object()) {
        return std::nullopt;
    }
    Credentials found{.user = text_of(entry, "username"), .password = text_of(entry, "password"), .file = file};
    if (const std::string encoded = text_of(entry, "auth"); !encoded.empty()) {
        const auto both = signing::parse_base64(encoded);
        const std::size_t colon = both ? both->find(':') : std::string::npos;
        if (colon == std::string::npos) {
            throw Error(ErrorKind::io, fmt::format("{}: an \"auth\" is not the base64 of NAME:PASSWORD", file.native()),
                        "`skopeo login --authfile FILE HOST` writes it anew");
        }
        found.user = both->substr(0, colon);
        found.password = both->substr(colon + 1);
    }
    if (found.user.empty() || found.password.empty()) {
        return std::nullopt; // an entry for a credential helper, or of an identity token
    }
    if (const std::string token_host = text_of(entry, "kiln_token_host"); !token_host.empty()) {
        found.token_host = token_host;
    }
    return found;
}

std::optional<Credentials> find_in(const fs::path& file, const RemoteReference& reference)
{
    const auto text = read_if_there(file);
    if (!text) {
        return std::nullopt;
    }
    const Json json = parse_secret(*text, file);
    const auto entries = json.find("auths");
    if (entries == json.end() || !entries->is_object()) {
        return std::nullopt;
    }
    for (std::string wanted = reference.name();; wanted.resize(wanted.rfind('/'))) {
        for (const auto& [key, entry] : entries->items()) {
            if (plain_key(key) == wanted) {
                if (auto found = credentials_of(entry, file)) {
                    require_private(file);
                    return found;
                }
            }
        }
        if (wanted.find('/') == std::string::npos) {
            return std::nullopt;
        }
    }
}

} // namespace

std::vector<fs::path> credential_files(const fs::path& own)
{
    if (const char* named = std::getenv("REGISTRY_AUTH_FILE"); named != nullptr && *named != '\0') {
        return {fs::absolute(named)};
    }
    std::vector<fs::path> files{own};
    const auto home = folder_in("HOME");
    if (const auto folder = folder_in("XDG_RUNTIME_DIR")) {
        files.push_back(*folder / "containers" / "auth.json");
    }
    if (const auto folder = folder_in("XDG_CONFIG_HOME")) {
        files.push_back(*folder / "containers" / "auth.json");
    } else if (home) {
        files.push_back(*home / ".config" / "containers" / "auth.json");
    }
    if (const auto folder = folder_in("DOCKER_CONFIG")) {
        files.push_back(*folder / "config.json");
    } else if (home) {
        files.push_back(*home / ".docker" / "config.json");
    }
    return files;
}

std::optional<Credentials> find_credentials(const std::vector<fs::path>& files, const RemoteReference& reference)
{
    for (const fs::path& file : files) {
        if (auto found = find_in(file, reference)) {
            return found;
        }
    }
    return std::nullopt;
}

} // namespace kiln::registry::remote
