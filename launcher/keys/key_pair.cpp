// SPDX-License-Identifier: Apache-2.0
#include "launcher/keys/key_pair.h"

#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "core/random.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/keys/ssh_public_key.h"
#include "signing/base64.h"
#include "signing/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr int key_pair_schema = 1;
constexpr std::string_view key_pair_record = "the key pair's record";

fs::path key_pairs_folder(const Paths& paths)
{
    return paths.home / "keypairs";
}

fs::path record_of(const Paths& paths, std::string_view name)
{
    return key_pairs_folder(paths) / fmt::format("{}.json", name);
}

bool is_key_pair_name(std::string_view name)
{
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && name.size() <= 64 && plain(name.front()) && plain(name.back()) &&
           std::ranges::all_of(name, [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; }) &&
           !name.starts_with("key-");
}

// The bytes between the lines of a PEM document.
std::string pem_bytes(std::string_view pem)
{
    std::string body;
    while (!pem.empty()) {
        const std::string_view line = next_line(pem);
        if (!line.starts_with("-----")) {
            body += line;
        }
    }
    const auto bytes = signing::parse_base64(body);
    if (!bytes) {
        throw Error(ErrorKind::internal, "ssh-keygen wrote a key that is no PEM");
    }
    return *bytes;
}

// As EC2 has it for keys that were imported: MD5 of an RSA key's SubjectPublicKeyInfo, SHA-256 of ed25519's.
std::string imported_fingerprint(const SshPublicKey& key, const fs::path& work, const std::stop_token& stop)
{
    if (key.type == "ed25519") {
        return signing::sha256_fingerprint(key.bytes);
    }
    const fs::path file = work / "imported.pub";
    write_file_durably(file, key.text + "\n", 0600);
    const std::string pem =
        run_or_throw({.argv = {"ssh-keygen", "-e", "-m", "PKCS8", "-f", file.native()}}, "reading the key", stop);
    return signing::md5_fingerprint(pem_bytes(pem));
}

WorkFolder work_folder(const Paths& paths)
{
    require_program("ssh-keygen", "openssh-client");
    make_directories(key_pairs_folder(paths), 0700);
    make_directories(paths.work, 0700);
    WorkFolder::sweep_abandoned(paths.work);
    return {paths.work, "keypair-"};
}

KeyPair describe_key_pair(const std::string& name, const SshPublicKey& key, std::string fingerprint, const Tags& tags)
{
    return {.id = random_resource_id("key-"),
            .name = name,
            .type = key.type,
            .fingerprint = std::move(fingerprint),
            .public_key = key.text,
            .created = iso_now(),
            .tags = tags};
}

FileLock lock_key_pairs(const Paths& paths)
{
    return {paths.home / "keypairs.lock", FileLock::Wait::block};
}

void require_free_key_pair(const Paths& paths, const std::string& name)
{
    if (fs::exists(record_of(paths, name))) {
        throw Error(ErrorKind::conflict, fmt::format("InvalidKeyPair.Duplicate: there is a key pair {} already", name),
                    fmt::format("choose another name, or `kiln keypair delete {}`", name));
    }
}

void save_key_pair(const Paths& paths, const KeyPair& pair)
{
    write_file_durably(record_of(paths, pair.name), to_json(pair).dump(2) + "\n", 0600);
}

} // namespace

Json to_json(const KeyPair& pair)
{
    return {{"schema", key_pair_schema},
            {"key_pair_id", pair.id},
            {"key_name", pair.name},
            {"key_type", pair.type},
            {"key_fingerprint", pair.fingerprint},
            {"public_key", pair.public_key},
            {"created", pair.created},
            {"tags", pair.tags}};
}

KeyPair key_pair_from_json(const Json& json)
{
    if (integer_member(json, "schema", key_pair_record) > key_pair_schema) {
        throw Error(ErrorKind::io, "the key pair was made by a newer Kiln", "use that version of Kiln");
    }
    try {
        KeyPair pair;
        pair.id = string_member(json, "key_pair_id", key_pair_record);
        pair.name = string_member(json, "key_name", key_pair_record);
        pair.type = string_member(json, "key_type", key_pair_record);
        pair.fingerprint = string_member(json, "key_fingerprint", key_pair_record);
        pair.public_key = parse_ssh_public_key(string_member(json, "public_key", key_pair_record)).text;
        pair.created = string_member(json, "created", key_pair_record);
        pair.tags = member(json, "tags", key_pair_record).get<Tags>();
        if (!is_resource_id("key-", pair.id) || !is_key_pair_name(pair.name)) {
            throw Error(ErrorKind::io, fmt::format("{} has no valid id and name", key_pair_record));
        }
        return pair;
    } catch (const Json::exception& error) {
        throw Error(ErrorKind::io, fmt::format("{} is malformed: {}", key_pair_record, error.what()));
    }
}

void require_key_pair_name(std::string_view name)
{
    if (!is_key_pair_name(name)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a name of a key pair", printable(name, false)),
                    "use up to 64 letters, digits and inner . _ -, not starting with key-");
    }
}

KeyPair create_key_pair(const Paths& paths, const std::string& name, const std::string& type, const Tags& tags,
                        const std::function<void(const NewKeyPair&)>& keep, const std::stop_token& stop)
{
    require_key_pair_name(name);
    const WorkFolder work = work_folder(paths);
    const fs::path file = work.path() / "key";
    std::vector<std::string> argv{"ssh-keygen", "-q", "-t", type, "-N", "", "-C", name, "-f", file.native()};
    if (type == "rsa") { // PKCS#8, of which EC2 takes the fingerprint
        argv.insert(argv.end(), {"-b", "2048", "-m", "PKCS8"});
    }
    run_or_throw({.argv = argv}, "making the key pair", stop);
    NewKeyPair made;
    made.secret = read_file(file, mebibytes(1));
    const SshPublicKey key = parse_ssh_public_key(read_file(file.native() + ".pub", mebibytes(1)));
    made.pair = describe_key_pair(name, key,
                                  type == "rsa" ? signing::sha1_fingerprint(pem_bytes(made.secret))
                                                : signing::sha256_fingerprint(key.bytes),
                                  tags);
    const FileLock lock = lock_key_pairs(paths);
    require_free_key_pair(paths, name);
    keep(made);
    save_key_pair(paths, made.pair);
    return made.pair;
}

KeyPair import_key_pair(const Paths& paths, const std::string& name, std::string_view line, const Tags& tags,
                        const std::stop_token& stop)
{
    require_key_pair_name(name);
    const SshPublicKey key = parse_ssh_public_key(line);
    const WorkFolder work = work_folder(paths);
    KeyPair pair = describe_key_pair(name, key, imported_fingerprint(key, work.path(), stop), tags);
    const FileLock lock = lock_key_pairs(paths);
    require_free_key_pair(paths, name);
    save_key_pair(paths, pair);
    return pair;
}

std::vector<KeyPair> list_key_pairs(const Paths& paths)
{
    std::vector<KeyPair> pairs;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(key_pairs_folder(paths), ignored)) {
        if (entry.path().extension() != ".json" || !is_key_pair_name(entry.path().stem().native())) {
            continue;
        }
        try {
            pairs.push_back(
                key_pair_from_json(parse_json(read_file(entry.path(), mebibytes(1)), entry.path().native())));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::not_found) { // deleted while we looked
                throw;
            }
        }
    }
    std::ranges::sort(pairs, {}, &KeyPair::name);
    return pairs;
}

KeyPair resolve_key_pair(const Paths& paths, std::string_view reference)
{
    std::vector<std::string> names;
    for (KeyPair& pair : list_key_pairs(paths)) {
        if (pair.name == reference || pair.id == reference) {
            return std::move(pair);
        }
        names.push_back(pair.name);
    }
    throw Error(ErrorKind::not_found, fmt::format("there is no key pair {}", printable(reference, false)),
                names.empty() ? "there is none at all; `kiln keypair create NAME` makes one"
                              : fmt::format("there are {}", join(names, ", ")));
}

void delete_key_pair(const Paths& paths, const KeyPair& pair)
{
    const FileLock lock = lock_key_pairs(paths);
    fs::remove(record_of(paths, pair.name));
    sync_directory(key_pairs_folder(paths));
}

} // namespace kiln::launcher
