// SPDX-License-Identifier: Apache-2.0
// What every command has at hand, and how commands are registered.
#pragma once

#include "core/accelerator.h"
#include "core/json.h"
#include "core/paths.h"
#include "registry/region.h"
#include "signing/account.h"
#include "signing/trust_store.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

namespace kiln::cli
{

inline constexpr std::string_view default_region = "local";
// Of every command that takes an image.
inline constexpr const char* image_reference_help = "An id, NAME, NAME@1.2.x or NAME@CHANNEL";

struct Context {
    Paths paths;
    std::stop_token stop;
    bool json = false;
    std::string region{default_region};
    int exit_status = 0; // of a command that ended without an Error

    // The region, made on first use when it is the default one. Throws Error{not_found, usage} for another one.
    [[nodiscard]] std::unique_ptr<registry::Region> open_region() const { return open_region(region); }
    [[nodiscard]] std::unique_ptr<registry::Region> open_region(const std::string& name) const;
    [[nodiscard]] bool has_region(const std::string& name) const;
    // What this home has seen of the region's events.
    [[nodiscard]] std::filesystem::path memory_of(const std::string& name) const;
    [[nodiscard]] signing::TrustStore trust() const { return signing::TrustStore(paths.trust); }
    [[nodiscard]] Accelerator accelerator() const;
    // The account's key; asks for the passphrase on a terminal when the key is encrypted and neither
    // KILN_KEY_PASSPHRASE nor KILN_KEY_PASSPHRASE_FILE is set.
    [[nodiscard]] signing::SecretKey account_key() const;
};

// KILN_KEY_PASSPHRASE, the content of KILN_KEY_PASSPHRASE_FILE, or what is typed on the terminal. `whose` is for the
// prompt. Throws Error{permission_denied} when there is no terminal.
[[nodiscard]] std::string find_passphrase(std::string_view whose);

// Adds --json and makes `action` what the command does.
void on_run(CLI::App& command, Context& context, std::function<void()> action);

// The same, with --region.
void on_run_in_region(CLI::App& command, Context& context, std::function<void()> action);

// Prints to standard output: the value when --json was given, else `text`.
void print_result(const Context& context, const Json& value, std::string_view text);

// Standard error for people; with --json the error object goes to standard output.
void print_error(const Context& context, const std::exception& error);

// One function a command (or a group of them), each in a file of its own name.
void add_doctor(CLI::App& app, Context& context);
void add_build(CLI::App& app, Context& context);
void add_recipe(CLI::App& app, Context& context);
void add_recipe_plan(CLI::App& recipe, Context& context);
void add_recipe_from_drift(CLI::App& recipe, Context& context);
void add_component(CLI::App& app, Context& context);
void add_image(CLI::App& app, Context& context);
void add_image_list(CLI::App& image, Context& context);
void add_image_changes(CLI::App& image, Context& context);
void add_image_history(CLI::App& image, Context& context);
void add_image_diff(CLI::App& image, Context& context);
void add_image_copy(CLI::App& image, Context& context);
void add_registry(CLI::App& app, Context& context);
void add_registry_collect(CLI::App& registry, Context& context);
void add_registry_check(CLI::App& registry, Context& context);
void add_registry_log(CLI::App& registry, Context& context);
void add_registry_lifecycle(CLI::App& registry, Context& context);
void add_image_export(CLI::App& image, Context& context);
void add_image_import(CLI::App& image, Context& context);
void add_image_push(CLI::App& image, Context& context);
void add_image_pull(CLI::App& image, Context& context);
void add_image_sign(CLI::App& image, Context& context);
void add_run(CLI::App& app, Context& context);
void add_instance(CLI::App& app, Context& context);
void add_instance_snapshot(CLI::App& instance, Context& context);
void add_test(CLI::App& app, Context& context);
void add_network(CLI::App& app, Context& context);
void add_security_group(CLI::App& app, Context& context);
void add_key(CLI::App& app, Context& context);
void add_key_changes(CLI::App& key, Context& context);
void add_make_appliance(CLI::App& app, Context& context);
void add_version(CLI::App& app, Context& context);

} // namespace kiln::cli
