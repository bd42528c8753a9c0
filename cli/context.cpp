// SPDX-License-Identifier: Apache-2.0
#include "cli/context.h"

#include "core/error.h"
#include "core/files.h"
#include "core/names.h"
#include "core/text.h"
#include "recipes/recipe.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <termios.h>
#include <unistd.h>

namespace kiln::cli
{
namespace
{

// Reads a line from the terminal without showing it.
std::string ask_passphrase(std::string_view whose)
{
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) {
        throw Error(ErrorKind::permission_denied,
                    fmt::format("{} is encrypted and there is no terminal to ask for its passphrase", whose),
                    "set KILN_KEY_PASSPHRASE_FILE to a file that holds it");
    }
    termios before{};
    ::tcgetattr(STDIN_FILENO, &before);
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    fmt::print(stderr, "Passphrase of {}: ", whose);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    std::string passphrase;
    std::getline(std::cin, passphrase);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fmt::print(stderr, "\n");
    return passphrase;
}

Json error_json(const std::exception& error)
{
    const auto* ours = dynamic_cast<const Error*>(&error);
    if (ours == nullptr) {
        return {{"kind", name_of(ErrorKind::internal)},
                {"message", printable(error.what())},
                {"hint", nullptr},
                {"location", nullptr},
                {"exit_status", exit_code(ErrorKind::internal)}};
    }
    Json json = {{"kind", name_of(ours->kind())},
                 {"message", printable(ours->what())},
                 {"hint", ours->hint().empty() ? Json() : Json(printable(ours->hint()))},
                 {"location", ours->location().empty() ? Json() : Json(ours->location())},
                 {"exit_status", exit_code(ours->kind())}};
    if (const auto* recipe = dynamic_cast<const recipes::RecipeError*>(&error)) {
        json["diagnostics"] = Json::array();
        for (const recipes::Diagnostic& diagnostic : recipe->diagnostics()) {
            json["diagnostics"].push_back(
                {{"file", printable(diagnostic.file)},
                 {"line", diagnostic.position.line},
                 {"column", diagnostic.position.column},
                 {"path", printable(diagnostic.path)},
                 {"message", printable(diagnostic.message)},
                 {"hint", diagnostic.hint.empty() ? Json() : Json(printable(diagnostic.hint))}});
        }
    }
    return json;
}

} // namespace

std::string find_passphrase(std::string_view whose)
{
    if (const char* given = std::getenv("KILN_KEY_PASSPHRASE"); given != nullptr) {
        return given;
    }
    if (const char* file = std::getenv("KILN_KEY_PASSPHRASE_FILE"); file != nullptr) {
        std::string passphrase = read_file(file, ByteSize(4096));
        while (passphrase.ends_with('\n') || passphrase.ends_with('\r')) {
            passphrase.pop_back();
        }
        return passphrase;
    }
    return ask_passphrase(whose);
}

std::unique_ptr<registry::Region> Context::open_region(const std::string& name) const
{
    if (!is_region_name(name)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a region", printable(name.substr(0, 200), false)),
                    "a region has 1 to 63 lower-case letters, digits and inner -");
    }
    if (name != default_region && !has_region(name)) {
        throw Error(ErrorKind::not_found, fmt::format("there is no region {}", name),
                    fmt::format("`kiln registry init {}` makes it; `kiln registry list` shows which there are", name));
    }
    make_directories(paths.home, 0700);
    return std::make_unique<registry::Region>(paths.regions / name, name, memory_of(name));
}

bool Context::has_region(const std::string& name) const
{
    return std::filesystem::exists(paths.regions / name / "oci-layout");
}

std::filesystem::path Context::memory_of(const std::string& name) const
{
    return paths.home / "seen" / (name + ".sqlite");
}

Accelerator Context::accelerator() const
{
    return find_accelerator(paths, stop).accelerator;
}

signing::SecretKey Context::account_key() const
{
    return signing::load_account_key(paths, [] { return find_passphrase("the account's key"); });
}

void on_run(CLI::App& command, Context& context, std::function<void()> action)
{
    command.add_flag("--json", context.json, "Print the result as JSON");
    command.callback(std::move(action));
}

void on_run_in_region(CLI::App& command, Context& context, std::function<void()> action)
{
    command.add_option("--region", context.region, "The region to use (default: local)")
        ->envname("KILN_REGION")
        ->type_name("REGION");
    on_run(command, context, std::move(action));
}

void print_result(const Context& context, const Json& value, std::string_view text)
{
    if (context.json) {
        fmt::print("{}\n", value.dump(2));
    } else {
        fmt::print("{}", text);
    }
    if (std::fflush(stdout) != 0) {
        throw system_error(errno, "writing to standard output");
    }
}

void print_error(const Context& context, const std::exception& error)
{
    const auto* ours = dynamic_cast<const Error*>(&error);
    const bool diagnostics = dynamic_cast<const recipes::RecipeError*>(&error) != nullptr;
    fmt::print(stderr, "{}{}\n", diagnostics ? "" : "kiln: ", printable(error.what()));
    if (ours != nullptr && !ours->hint().empty()) {
        fmt::print(stderr, "  {}\n", printable(ours->hint()));
    }
    if (context.json) {
        fmt::print("{}\n", Json{{"error", error_json(error)}}.dump(2));
    }
}

} // namespace kiln::cli
