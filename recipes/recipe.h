// SPDX-License-Identifier: Apache-2.0
// A recipe: the wish for an AMI, parsed once from TOML into plain structs. docs/recipe.md is the
// reference of the language. Nothing here is trusted before `load_recipe` has returned.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/json.h"
#include "core/semantic_version.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kiln::recipes
{

// Where something stands in a recipe; line and column count from 1.
struct Position {
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

struct BootstrapBase {
    std::string distribution; // "debian"
    std::string suite;        // "bookworm"
    std::string mirror;       // empty: the distribution's own
};

struct Storage {
    std::string device; // as the guest's kernel names it: "/dev/vda"
    ByteSize size;      // of the whole disk
    std::string filesystem;
    bool delete_on_termination = true;
};

struct FileStep {
    std::string path; // absolute, in the guest
    std::string content;
    std::uint32_t mode = 0644;
    std::string owner = "root";
    std::string group = "root";
};

struct RunStep {
    std::string script; // for /bin/sh -e
    bool network = false;
    std::chrono::seconds timeout{1800};
};

struct UserStep {
    std::string name;
    std::vector<std::string> groups;
    std::string shell = "/bin/bash";
    bool sudo = false; // without a password
    std::vector<std::string> ssh_authorized_keys;
};

struct ServiceStep {
    std::string name; // "ssh" or "ssh.service"
    bool enabled = true;
};

struct Step {
    std::variant<FileStep, RunStep, UserStep, ServiceStep> action;
    Position position;
};

// "file /etc/motd", "run apt-get clean": one line for progress, logs and errors.
[[nodiscard]] std::string title_of(const Step& step);

struct RunTest {
    std::string command; // for /bin/sh -c in the guest
    int status = 0;
    std::optional<std::string> output; // what the trimmed standard output must be, exactly
    std::chrono::seconds timeout{60};
};

struct ConsoleTest {
    std::string pattern; // ECMAScript regular expression, searched in the console log
    std::chrono::seconds timeout{60};
};

struct Test {
    std::string name; // unique in the recipe
    std::variant<RunTest, ConsoleTest> check;
};

struct Recipe {
    std::filesystem::path file;
    std::string name;
    SemanticVersion version;
    std::string description;
    std::string architecture; // "x86_64"
    BootstrapBase base;
    Storage root;
    std::vector<std::string> packages;
    std::vector<Step> steps;
    std::vector<Test> tests;
    // Of the resolved recipe with the contents of every file that it names; layout and comments of
    // the TOML don't count.
    std::optional<Digest> digest;
};

struct Diagnostic {
    Position position;
    std::string path;    // "storage[0].size"
    std::string message; // "\"8 parsecs\" is not a size"
    std::string hint;    // "write it like \"2GiB\""; may be empty
};

// All that is wrong with one recipe. what() is the whole text for a person: each diagnostic as
// `FILE:LINE:COLUMN: PATH: MESSAGE`, the line, a caret, the hint.
class RecipeError : public Error
{
public:
    RecipeError(std::string_view file, std::string_view text, std::vector<Diagnostic> diagnostics);
    [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const noexcept { return diagnostics_; }

private:
    std::vector<Diagnostic> diagnostics_;
};

// Reads at most 1 MiB. Throws RecipeError, or Error{not_found, permission_denied, io} for the file.
[[nodiscard]] Recipe load_recipe(const std::filesystem::path& file);

// The same for text; files that the recipe names are looked up beside `file`.
[[nodiscard]] Recipe parse_recipe(std::string_view text, const std::filesystem::path& file);

// The resolved recipe as JSON, the input of `digest`.
[[nodiscard]] Json to_json(const Recipe& recipe);

} // namespace kiln::recipes
