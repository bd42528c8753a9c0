// SPDX-License-Identifier: Apache-2.0
// kiln key create|import|show|list|trust; key_change.cpp has what changes a key's standing.
#include "cli/context.h"
#include "cli/key_files.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

struct KeyOptions {
    std::string type = "ed25519";
    std::string passphrase_file;
    std::string file;
    std::string file_passphrase;
    std::string account;
};

void print_account(const Context& context, const signing::Account& account)
{
    print_result(context,
                 {{"account", account.id},
                  {"key_id", account.key.key_id()},
                  {"type", name_of(account.key.type())},
                  {"public_key", account.key.to_pem()}},
                 fmt::format("account {}\nkey     {}\n{}", account.id, account.key.key_id(), account.key.to_pem()));
}

void refuse_second_account(const Context& context)
{
    if (const auto account = signing::find_account(context.paths)) {
        throw Error(ErrorKind::conflict, fmt::format("there is an account already: {}", account->id),
                    "`kiln key show` prints its public key; `kiln key rotate` gives it another key");
    }
}

void create(const Context& context, const KeyOptions& options)
{
    refuse_second_account(context);
    const signing::KeyType type = require_key_type(options.type);
    const std::string passphrase = read_passphrase(options.passphrase_file);
    make_directories(context.paths.home, 0700);
    print_account(context, signing::ensure_account(context.paths, passphrase, type));
}

void import_key(const Context& context, const KeyOptions& options)
{
    refuse_second_account(context);
    UnlockedKey unlocked = load_key(options.file, options.file_passphrase);
    // Never weaker than the file that it came from.
    const std::string passphrase =
        options.passphrase_file.empty() ? unlocked.passphrase : read_passphrase(options.passphrase_file);
    make_directories(context.paths.home, 0700);
    print_account(context,
                  signing::make_account_with(context.paths, unlocked.key, passphrase,
                                             options.account.empty() ? std::nullopt : std::optional(options.account)));
}

void show(const Context& context)
{
    const auto account = signing::find_account(context.paths);
    if (!account) {
        throw Error(ErrorKind::not_found, "there is no account yet",
                    "`kiln key create` or the first `kiln build` makes one");
    }
    print_account(context, *account);
}

Json to_json(const signing::TrustStore::Entry& entry, bool signs)
{
    const auto& [key, revoked, rotated] = entry.trusted;
    Json revocation;
    if (revoked) {
        revocation = {{"reason", revoked->reason},
                      {"since", revoked->since ? Json(*revoked->since) : Json()},
                      {"by", revoked->by},
                      {"at", revoked->at}};
    }
    Json rotation;
    if (rotated) {
        rotation = {
            {"new_key", rotated->new_key.key_id()}, {"keeps_images", rotated->keeps_images}, {"at", rotated->at}};
    }
    return {{"account", entry.account}, {"key_id", key.key_id()}, {"type", name_of(key.type())}, {"signs", signs},
            {"revoked", revocation},    {"replaced", rotation},   {"public_key", key.to_pem()}};
}

std::string standing(const signing::TrustedKey& trusted, bool signs)
{
    if (trusted.revoked) {
        return fmt::format("revoked{}: {}", trusted.revoked->since ? " since " + *trusted.revoked->since : "",
                           trusted.revoked->reason);
    }
    if (trusted.rotated) {
        return fmt::format("replaced at {}, its images {}", trusted.rotated->at,
                           trusted.rotated->keeps_images ? "kept" : "refused");
    }
    return signs ? "signs for this home" : "trusted";
}

void list(const Context& context)
{
    const auto account = signing::find_account(context.paths);
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"ACCOUNT", "KEY", "TYPE", "STANDING"}};
    for (const auto& entry : signing::TrustStore(context.paths.trust).entries()) {
        const std::string id = entry.trusted.key.key_id();
        const bool signs = account && account->id == entry.account && account->key.key_id() == id;
        json.push_back(to_json(entry, signs));
        rows.push_back({entry.account, id.substr(7, 16), std::string(name_of(entry.trusted.key.type())),
                        standing(entry.trusted, signs)});
    }
    print_result(context, json, rows.size() == 1 ? "There is no key yet; `kiln key create` makes one.\n" : table(rows));
}

void trust(const Context& context, const KeyOptions& options)
{
    if (!signing::is_account_id(options.account)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not an account", printable(options.account, false)),
                    "an account has 12 digits");
    }
    const auto key = signing::PublicKey::from_pem(read_file(options.file, ByteSize(65536)));
    make_directories(context.paths.home, 0700);
    signing::TrustStore(context.paths.trust).trust(options.account, key);
    print_result(context, {{"account", options.account}, {"key_id", key.key_id()}},
                 fmt::format("{} now speaks for account {}\n", key.key_id(), options.account));
}

void add_import(CLI::App& key, Context& context)
{
    CLI::App* command = key.add_subcommand("import", "Make the account with a secret key that you have");
    auto options = std::make_shared<KeyOptions>();
    command->add_option("file", options->file, "Its PKCS#8 PEM file, encrypted or not, of mode 0600")
        ->required()
        ->type_name("FILE");
    command->add_option("--account", options->account, "The account's id, 12 digits (default: a new one)")
        ->type_name("ACCOUNT");
    command->add_option("--key-passphrase-file", options->file_passphrase, "What FILE is encrypted with")
        ->type_name("FILE");
    command
        ->add_option("--passphrase-file", options->passphrase_file,
                     "Encrypt the account's copy with this (default: as FILE)")
        ->type_name("FILE");
    on_run(*command, context, [&context, options] { import_key(context, *options); });
}

} // namespace

void add_key(CLI::App& app, Context& context)
{
    CLI::App* key = app.add_subcommand("key", "Signing keys: the account's own, and the trusted ones");
    key->require_subcommand(1);
    CLI::App* create_command = key->add_subcommand("create", "Make the account and its key");
    auto created = std::make_shared<KeyOptions>();
    create_command->add_option("--type", created->type, "ed25519 (default) or ecdsa-p256")->type_name("TYPE");
    create_command
        ->add_option("--passphrase-file", created->passphrase_file, "Encrypt the key with the passphrase in this file")
        ->type_name("FILE");
    on_run(*create_command, context, [&context, created] { create(context, *created); });
    add_import(*key, context);
    CLI::App* show_command = key->add_subcommand("show", "Print the account's id and public key");
    on_run(*show_command, context, [&context] { show(context); });
    CLI::App* list_command = key->add_subcommand("list", "The trusted keys, replaced and revoked ones too");
    on_run(*list_command, context, [&context] { list(context); });
    CLI::App* trust_command = key->add_subcommand("trust", "Trust a public key to speak for an account");
    auto trusted = std::make_shared<KeyOptions>();
    trust_command->add_option("account", trusted->account, "The account, 12 digits")->required()->type_name("ACCOUNT");
    trust_command->add_option("file", trusted->file, "Its public key, a PEM file that its owner gave you")
        ->required()
        ->type_name("FILE");
    on_run(*trust_command, context, [&context, trusted] { trust(context, *trusted); });
    add_key_changes(*key, context);
}

} // namespace kiln::cli
