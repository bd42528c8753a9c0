// SPDX-License-Identifier: Apache-2.0
// kiln keypair create|import|list|show|delete: SSH keys for instances. Account keys, which sign, are `kiln key`.
#include "cli/keypair.h"
#include "cli/context.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/text.h"
#include "launcher/keys/key_pair.h"
#include "launcher/tags.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

using launcher::KeyPair;

struct KeyPairOptions {
    std::string name;
    std::string type = "ed25519";
    std::string file; // where the private key goes, or the public one is
    std::vector<std::string> tags;
};

std::string key_pair_text(const KeyPair& pair)
{
    return fmt::format("{}  {}  {}  {}\n", pair.id, pair.name, pair.type, pair.fingerprint);
}

// A new file with mode 0600 from the first byte on; never the name of another one.
void write_secret(const std::filesystem::path& file, const std::string& secret)
{
    const FileDescriptor fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd && errno == EEXIST) {
        throw Error(ErrorKind::conflict, fmt::format("{} exists already", file.native()), "choose another file");
    }
    if (!fd || ::write(fd.get(), secret.data(), secret.size()) != static_cast<ssize_t>(secret.size()) ||
        ::fsync(fd.get()) != 0) {
        const int number = errno;
        if (fd) {
            ::unlink(file.c_str());
        }
        throw system_error(number, fmt::format("writing {}", file.native()));
    }
    sync_directory(std::filesystem::absolute(file).parent_path());
}

void create(const Context& context, const KeyPairOptions& options)
{
    std::string secret;
    const KeyPair pair = launcher::create_key_pair(
        context.paths, options.name, options.type, launcher::parse_tags(options.tags),
        [&](const launcher::NewKeyPair& made) {
            secret = made.secret;
            if (!options.file.empty()) {
                write_secret(options.file, secret);
            }
        },
        context.stop);
    Json json = to_json(pair);
    json["key_material"] = options.file.empty() ? Json(secret) : Json();
    json["file"] = options.file.empty() ? Json() : Json(options.file);
    // Alone on standard output, so that it can go to a file of its own.
    print_result(context, json, options.file.empty() ? secret : key_pair_text(pair));
    if (options.file.empty() && !context.json) {
        fmt::print(stderr, "kiln: {}  {}  {}; this is its private key, which is kept nowhere\n", pair.id, pair.name,
                   pair.fingerprint);
    }
}

void import_pair(const Context& context, const KeyPairOptions& options)
{
    const KeyPair pair = launcher::import_key_pair(context.paths, options.name, read_file(options.file, mebibytes(1)),
                                                   launcher::parse_tags(options.tags), context.stop);
    print_result(context, to_json(pair), key_pair_text(pair));
}

void list(const Context& context)
{
    Json json = Json::array();
    std::vector<std::vector<std::string>> rows = {{"KEY PAIR", "NAME", "TYPE", "FINGERPRINT", "CREATED"}};
    for (const KeyPair& pair : launcher::list_key_pairs(context.paths)) {
        json.push_back(to_json(pair));
        rows.push_back(
            {pair.id, pair.name, pair.type, printable(pair.fingerprint, false), printable(pair.created, false)});
    }
    print_result(context, json,
                 rows.size() > 1 ? table(rows) : "There is no key pair; `kiln keypair create NAME` makes one.\n");
}

void show(const Context& context, const std::string& reference)
{
    const KeyPair pair = launcher::resolve_key_pair(context.paths, reference);
    std::string text = key_pair_text(pair) + fmt::format("  created    {}\n", printable(pair.created, false));
    for (const auto& [key, value] : pair.tags) {
        text += fmt::format("  tag        {}={}\n", printable(key, false), printable(value, false));
    }
    print_result(context, to_json(pair), text + pair.public_key + " " + pair.name + "\n");
}

void remove(const Context& context, const std::string& reference)
{
    const KeyPair pair = launcher::resolve_key_pair(context.paths, reference);
    launcher::delete_key_pair(context.paths, pair);
    print_result(context, {{"key_pair_id", pair.id}, {"key_name", pair.name}},
                 fmt::format("{}  {}  deleted\n", pair.id, pair.name));
}

} // namespace

void add_keypair(CLI::App& app, Context& context)
{
    CLI::App* keypair = app.add_subcommand("keypair", "SSH key pairs for `kiln run --key`");
    keypair->require_subcommand(1);
    auto options = std::make_shared<KeyPairOptions>();
    const auto add_common = [&](CLI::App* command) {
        command->add_option("name", options->name, "What it is called")->required()->type_name("NAME");
        command->add_option("--tag", options->tags, "A tag, like team=web; may be repeated")
            ->allow_extra_args(false)
            ->type_name("KEY=VALUE");
    };
    CLI::App* create_command =
        keypair->add_subcommand("create", "Make a key pair; its private key is printed, this once");
    add_common(create_command);
    create_command->add_option("--type", options->type, "ed25519 or rsa (2048 bits)")
        ->check(CLI::IsMember({"ed25519", "rsa"}))
        ->capture_default_str()
        ->type_name("TYPE");
    create_command->add_option("-o,--output", options->file, "Write the private key to this new file, mode 0600")
        ->type_name("FILE");
    on_run(*create_command, context, [&context, options] { create(context, *options); });

    CLI::App* import_command = keypair->add_subcommand("import", "Take over a public key that you have");
    add_common(import_command);
    import_command->add_option("file", options->file, "Like ~/.ssh/id_ed25519.pub")->required()->type_name("FILE");
    on_run(*import_command, context, [&context, options] { import_pair(context, *options); });

    on_run(*keypair->add_subcommand("list", "List key pairs"), context, [&context] { list(context); });
    const auto add_one = [&](const char* name, const char* description,
                             void (*work)(const Context&, const std::string&)) {
        CLI::App* command = keypair->add_subcommand(name, description);
        command->add_option("keypair", options->name, "Its name or id")->required()->type_name("KEYPAIR");
        on_run(*command, context, [&context, options, work] { work(context, options->name); });
    };
    add_one("show", "A key pair and its public key", show);
    add_one("delete", "Delete a key pair; instances keep the key that they have", remove);
}

} // namespace kiln::cli
