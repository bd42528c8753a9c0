// SPDX-License-Identifier: Apache-2.0
#include "builder/secrets.h"

#include "core/error.h"
#include "core/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace kiln::builder
{
namespace
{

constexpr std::string_view mask = "***";
// A shorter line of a longer secret ("-----", "}") says nothing, and to strike it out would garble all output.
constexpr std::size_t shortest_line = 8;

std::string read(const recipes::Secret& secret)
{
    if (secret.environment_name.empty()) {
        if (!std::filesystem::is_regular_file(secret.file) && std::filesystem::exists(secret.file)) {
            throw Error(ErrorKind::usage, fmt::format("{} is not a regular file", secret.file.native()));
        }
        return read_file(secret.file, largest_secret);
    }
    const char* value = std::getenv(secret.environment_name.c_str());
    if (value == nullptr) {
        throw Error(ErrorKind::usage, fmt::format("the environment variable {} is not set", secret.environment_name),
                    fmt::format("set {} to the secret's value", secret.environment_name));
    }
    return value;
}

std::string_view without_final_newline(std::string_view value)
{
    return value.ends_with('\n') ? value.substr(0, value.size() - 1) : value;
}

void wipe(std::string& text)
{
    explicit_bzero(text.data(), text.size());
}

} // namespace

Secrets::Secrets(std::span<const recipes::Secret> declared, const std::set<std::string>& names)
{
    for (const std::string& name : names) {
        const auto secret = std::ranges::find(declared, name, &recipes::Secret::name);
        if (secret == declared.end()) {
            throw Error(ErrorKind::internal, fmt::format("the recipe has no secret \"{}\"", name));
        }
        try {
            std::string value = read(*secret);
            if (without_final_newline(value).empty()) {
                throw Error(ErrorKind::usage, "it is empty");
            }
            if (value.size() > largest_secret.bytes()) {
                throw Error(ErrorKind::usage, fmt::format("it is larger than {}", to_string(largest_secret)));
            }
            values_.emplace(name, std::move(value));
        } catch (Error& error) {
            error.while_doing(fmt::format("reading the secret \"{}\"", name));
            throw;
        }
    }
    for (const auto& [name, value] : values_) {
        std::string_view rest = without_final_newline(value);
        hidden_.emplace_back(rest);
        while (!rest.empty()) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            if (line.size() >= shortest_line) {
                hidden_.emplace_back(line);
            }
        }
    }
    std::ranges::sort(hidden_, std::greater{}, &std::string::size);
}

Secrets::~Secrets()
{
    for (auto& [name, value] : values_) {
        wipe(value);
    }
    std::ranges::for_each(hidden_, wipe);
}

const std::string& Secrets::value(const std::string& name) const
{
    const auto found = values_.find(name);
    if (found == values_.end()) {
        throw Error(ErrorKind::internal, fmt::format("the secret \"{}\" was not loaded", name));
    }
    return found->second;
}

std::string Secrets::redact(std::string text) const
{
    for (const std::string& hidden : hidden_) {
        for (std::size_t at = 0; (at = text.find(hidden, at)) != text.npos; at += mask.size()) {
            text.replace(at, hidden.size(), mask);
        }
    }
    return text;
}

std::string Secrets::redact_cut(std::string text) const
{
    text = redact(std::move(text));
    if (!hidden_.empty()) {
        text.resize(text.size() - std::min(text.size(), hidden_.front().size() - 1));
    }
    return text;
}

std::set<std::string> secrets_of(std::span<const recipes::Step> steps)
{
    std::set<std::string> names;
    for (const recipes::Step& step : steps) {
        if (const auto* run = std::get_if<recipes::RunStep>(&step.action)) {
            names.insert(run->secrets.begin(), run->secrets.end());
        }
    }
    return names;
}

} // namespace kiln::builder
