// SPDX-License-Identifier: Apache-2.0
// kiln key rotate|revoke|apply: what changes a key's standing, as signed statements that other homes take over.
#include "cli/context.h"
#include "cli/key_files.h"
#include "core/error.h"
#include "core/files.h"
#include "core/output_file.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "signing/trust_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

struct ChangeOptions {
    std::string key; // an id, or a file
    std::string type = "ed25519";
    std::string key_passphrase;
    std::string passphrase_file;
    bool refuse_old_images = false;
    std::string reason;
    std::string since;
    std::string output;
};

// The statement, where it was asked for, as a file for other homes.
class StatementFile
{
public:
    explicit StatementFile(const std::string& path)
    {
        if (!path.empty()) {
            file_.emplace(path);
        }
    }
    void write(std::string_view envelope)
    {
        while (file_ && !envelope.empty()) {
            const ssize_t written = ::write(file_->get(), envelope.data(), envelope.size());
            if (written < 0 && errno != EINTR) {
                throw system_error(errno, "writing the statement");
            }
            envelope.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
        }
        if (file_) {
            file_->commit();
        }
    }

private:
    std::optional<OutputFile> file_;
};

void rotate(const Context& context, const ChangeOptions& options)
{
    const auto account = signing::find_account(context.paths);
    if (!account) {
        throw Error(ErrorKind::not_found, "there is no account yet", "`kiln key create` makes one");
    }
    const signing::KeyType type = require_key_type(options.type);
    StatementFile file(options.output);
    std::string old_passphrase;
    const signing::SecretKey old_key = signing::load_account_key(context.paths, [&] {
        old_passphrase = find_passphrase("the account's key");
        return old_passphrase;
    });
    const UnlockedKey unlocked = options.key.empty() ? UnlockedKey{signing::SecretKey::generate(type), {}}
                                                     : load_key(options.key, options.key_passphrase);
    // Without a word about it, the new key is as well protected as its file or the old one.
    std::string passphrase = read_passphrase(options.passphrase_file);
    if (passphrase.empty()) {
        passphrase = unlocked.passphrase.empty() ? old_passphrase : unlocked.passphrase;
    }
    const std::string envelope =
        signing::rotate_account_key(context.paths, {.old_key = old_key,
                                                    .new_key = unlocked.key,
                                                    .passphrase = passphrase,
                                                    .keeps_images = !options.refuse_old_images});
    file.write(envelope);
    const signing::PublicKey key = unlocked.key.public_key();
    print_result(context,
                 {{"account", account->id},
                  {"key_id", key.key_id()},
                  {"type", name_of(key.type())},
                  {"public_key", key.to_pem()},
                  {"replaces", account->key.key_id()},
                  {"keeps_images", !options.refuse_old_images},
                  {"statement", parse_json(envelope, "statement")}},
                 fmt::format("{} signs for account {} from now on; what {} signed before is {}\n"
                             "Give {} to whoever trusts the account: `kiln key apply FILE`.\n",
                             key.key_id(), account->id, account->key.key_id(),
                             options.refuse_old_images ? "refused" : "kept",
                             options.output.empty() ? "the statement (-o FILE, or --json)" : options.output));
}

std::optional<std::string> parse_since(const std::string& text)
{
    if (text.empty()) {
        return std::nullopt;
    }
    const std::string time = text.size() == 10 ? text + "T00:00:00Z" : text;
    if (!is_iso_time(time)) {
        throw Error(ErrorKind::usage, fmt::format("--since \"{}\" is not a time", printable(text, false)),
                    "write a time in UTC like 2026-11-23T17:44:58Z, or a day like 2026-11-23");
    }
    return time;
}

void require_reason(const std::string& reason)
{
    if (reason.empty() || reason.size() > signing::longest_reason || printable(reason, false) != reason) {
        throw Error(ErrorKind::usage,
                    fmt::format("--reason is empty, longer than {} bytes, or holds control characters",
                                signing::longest_reason),
                    "it is shown to whoever tries to launch an image that the key signed");
    }
}

void revoke(const Context& context, const ChangeOptions& options)
{
    require_reason(options.reason);
    const signing::TrustStore store(context.paths.trust);
    const signing::TrustStore::Entry entry = store.find(options.key);
    const auto account = signing::find_account(context.paths);
    if (!account) {
        throw Error(ErrorKind::not_found, "there is no account yet that could sign it", "`kiln key create` makes one");
    }
    const std::string id = entry.trusted.key.key_id();
    if (account->key.key_id() == id) {
        throw Error(ErrorKind::conflict, "this is the key that the account signs with",
                    "`kiln key rotate` first, then revoke the old key");
    }
    StatementFile file(options.output);
    const std::string envelope = signing::sign_revocation({.account = entry.account,
                                                           .key = id,
                                                           .reason = options.reason,
                                                           .since = parse_since(options.since),
                                                           .by = account->id,
                                                           .at = iso_now()},
                                                          context.account_key());
    static_cast<void>(store.apply(envelope, signing::TrustStore::From::this_home));
    file.write(envelope);
    const bool own = account->id == entry.account;
    print_result(context,
                 {{"account", entry.account},
                  {"key_id", id},
                  {"reason", options.reason},
                  {"since", options.since.empty() ? Json() : Json(*parse_since(options.since))},
                  {"this_home_only", !own},
                  {"statement", parse_json(envelope, "statement")}},
                 fmt::format("{} of account {} is revoked: {}\n{}\n", id, entry.account, options.reason,
                             own ? "Give the statement (-o FILE, or --json) to whoever trusts the account: `kiln key "
                                   "apply FILE`."
                                 : "It is another account's key: this holds in this home only."));
}

void apply(const Context& context, const ChangeOptions& options)
{
    const std::string envelope = read_file(options.key, ByteSize(65536));
    const signing::KeyStatementClaim claim =
        signing::TrustStore(context.paths.trust).apply(envelope, signing::TrustStore::From::outside);
    const bool rotation = claim.kind == signing::KeyStatementClaim::Kind::rotation;
    print_result(context,
                 {{"account", claim.account}, {"key_id", claim.key}, {"kind", rotation ? "rotation" : "revocation"}},
                 fmt::format("{} of account {} is {}; `kiln key list` shows it\n", claim.key, claim.account,
                             rotation ? "replaced" : "revoked"));
}

void add_output(CLI::App& command, ChangeOptions& options)
{
    command.add_option("-o,--output", options.output, "Write the signed statement to this new file, for other homes")
        ->type_name("FILE");
}

} // namespace

void add_key_changes(CLI::App& key, Context& context)
{
    CLI::App* rotate_command = key.add_subcommand("rotate", "Give the account another key, which the old one endorses");
    auto rotation = std::make_shared<ChangeOptions>();
    rotate_command->add_option("--type", rotation->type, "Of the new key: ed25519 (default) or ecdsa-p256")
        ->type_name("TYPE");
    CLI::Option* file = rotate_command->add_option("--key", rotation->key, "Take this PKCS#8 PEM file as the new key")
                            ->type_name("FILE");
    rotate_command->add_option("--key-passphrase-file", rotation->key_passphrase, "What that file is encrypted with")
        ->needs(file)
        ->type_name("FILE");
    rotate_command
        ->add_option("--passphrase-file", rotation->passphrase_file,
                     "Encrypt the new key with this (default: as it was)")
        ->type_name("FILE");
    rotate_command->add_flag("--refuse-old-images", rotation->refuse_old_images,
                             "What the old key signed does not count any more");
    add_output(*rotate_command, *rotation);
    on_run(*rotate_command, context, [&context, rotation] { rotate(context, *rotation); });

    CLI::App* revoke_command = key.add_subcommand("revoke", "Refuse what a key signed, with a reason");
    auto revocation = std::make_shared<ChangeOptions>();
    revoke_command->add_option("key", revocation->key, "The key's id, or 8 or more of its first digits")
        ->required()
        ->type_name("KEY");
    revoke_command->add_option("--reason", revocation->reason, "Why; shown at each launch that is refused")
        ->required()
        ->type_name("TEXT");
    revoke_command->add_option("--since", revocation->since, "Only what says that it was signed then or later, in UTC")
        ->type_name("TIME");
    add_output(*revoke_command, *revocation);
    on_run(*revoke_command, context, [&context, revocation] { revoke(context, *revocation); });

    CLI::App* apply_command =
        key.add_subcommand("apply", "Take over a rotation or revocation of an account that you trust");
    auto statement = std::make_shared<ChangeOptions>();
    apply_command->add_option("file", statement->key, "The statement that its owner gave you")
        ->required()
        ->type_name("FILE");
    on_run(*apply_command, context, [&context, statement] { apply(context, *statement); });
}

} // namespace kiln::cli
