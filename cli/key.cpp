// SPDX-License-Identifier: Apache-2.0
// kiln key create|show|trust
#include "cli/context.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

namespace kiln::cli
{
namespace
{

void print_account(const Context& context, const signing::Account& account)
{
    print_result(context,
                 {{"account", account.id}, {"key_id", account.key.key_id()}, {"public_key", account.key.to_pem()}},
                 fmt::format("account {}\nkey     {}\n{}", account.id, account.key.key_id(), account.key.to_pem()));
}

void create(const Context& context, const std::string& passphrase_file)
{
    if (const auto account = signing::find_account(context.paths)) {
        throw Error(ErrorKind::conflict, fmt::format("there is an account already: {}", account->id),
                    "`kiln key show` prints its public key");
    }
    std::string passphrase;
    if (!passphrase_file.empty()) {
        passphrase = read_file(passphrase_file, ByteSize(4096));
        while (passphrase.ends_with('\n')) {
            passphrase.pop_back();
        }
        if (passphrase.empty()) {
            throw Error(ErrorKind::usage, fmt::format("{} is empty", passphrase_file),
                        "write the passphrase into it, or leave --passphrase-file out for an unencrypted key");
        }
    }
    make_directories(context.paths.home, 0700);
    print_account(context, signing::ensure_account(context.paths, passphrase));
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

void trust(const Context& context, const std::string& account, const std::string& file)
{
    if (!signing::is_account_id(account)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not an account", printable(account, false)),
                    "an account has 12 digits");
    }
    const auto key = signing::PublicKey::from_pem(read_file(file, ByteSize(65536)));
    make_directories(context.paths.home, 0700);
    signing::TrustStore(context.paths.trust).trust(account, key);
    print_result(context, {{"account", account}, {"key_id", key.key_id()}},
                 fmt::format("{} now speaks for account {}\n", key.key_id(), account));
}

} // namespace

void add_key(CLI::App& app, Context& context)
{
    CLI::App* key = app.add_subcommand("key", "The account's signing key");
    key->require_subcommand(1);
    CLI::App* create_command = key->add_subcommand("create", "Make the account and its Ed25519 key");
    auto file = std::make_shared<std::string>();
    create_command->add_option("--passphrase-file", *file, "Encrypt the key with the passphrase in this file")
        ->type_name("FILE");
    on_run(*create_command, context, [&context, file] { create(context, *file); });
    CLI::App* show_command = key->add_subcommand("show", "Print the account's id and public key");
    on_run(*show_command, context, [&context] { show(context); });
    CLI::App* trust_command = key->add_subcommand("trust", "Trust a public key to speak for an account");
    auto account = std::make_shared<std::string>();
    auto public_key = std::make_shared<std::string>();
    trust_command->add_option("account", *account, "The account, 12 digits")->required()->type_name("ACCOUNT");
    trust_command->add_option("file", *public_key, "Its public key, a PEM file that its owner gave you")
        ->required()
        ->type_name("FILE");
    on_run(*trust_command, context, [&context, account, public_key] { trust(context, *account, *public_key); });
}

} // namespace kiln::cli
