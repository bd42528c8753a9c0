// SPDX-License-Identifier: Apache-2.0
#include "builder/lock_file.h"

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <regex>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr std::int64_t format_version = 1;
constexpr ByteSize largest_lock_file = mebibytes(16);
constexpr std::size_t longest_word = 200;

std::string name_of(const recipes::AmiBase& base)
{
    return fmt::format("ami {}", base.reference);
}

using ByName = std::map<std::string, const InstalledPackage*>;

ByName by_name(const LockFile::Layer& layer)
{
    ByName packages;
    for (const InstalledPackage& package : layer.packages) {
        packages[package.name + ":" + package.architecture] = &package;
    }
    return packages;
}

void compare_inputs(const LockFile& locked, const LockFile& built, std::vector<std::string>& lines)
{
    for (const auto& [name, digest] : locked.inputs) {
        const auto other = built.inputs.find(name);
        if (other == built.inputs.end()) {
            lines.push_back(fmt::format("{} is locked, the recipe does not use it", name));
        } else if (other->second != digest) {
            lines.push_back(fmt::format("{} changed", name));
        }
    }
    for (const auto& [name, digest] : built.inputs) {
        if (!locked.inputs.contains(name)) {
            lines.push_back(fmt::format("{} is used and not locked", name));
        }
    }
}

// The names and versions go into apt's configuration, where a line's end would begin another setting.
void require_packages(const std::vector<InstalledPackage>& packages, std::string_view file)
{
    static const std::regex name("[a-z0-9][a-z0-9+.-]*");
    static const std::regex version("[A-Za-z0-9][A-Za-z0-9.+~:-]*");
    for (const InstalledPackage& package : packages) {
        if (package.name.size() > longest_word || package.version.size() > longest_word ||
            !std::regex_match(package.name, name) || !std::regex_match(package.version, version)) {
            throw Error(ErrorKind::io, fmt::format(R"({}: "{}" in version "{}" is no package)", file,
                                                   printable(package.name.substr(0, longest_word), false),
                                                   printable(package.version.substr(0, longest_word), false)));
        }
    }
}

void throw_for(const std::vector<std::string>& lines)
{
    if (!lines.empty()) {
        throw Error(ErrorKind::package,
                    printable(fmt::format("the build is not what its lock file says:\n  {}", join(lines, "\n  "))),
                    "`kiln build RECIPE --lock` renews the lock file, with --no-cache from what the archives have now");
    }
}

} // namespace

const LockFile::Layer* LockFile::find(std::string_view step) const
{
    const auto found = std::ranges::find(layers, step, &Layer::step);
    return found != layers.end() ? &*found : nullptr;
}

std::vector<InstalledPackage> LockFile::packages() const
{
    std::vector<InstalledPackage> all;
    for (const Layer& layer : layers) {
        all.insert(all.end(), layer.packages.begin(), layer.packages.end());
    }
    return all;
}

fs::path lock_file_of(const fs::path& recipe)
{
    return recipe.parent_path() / (recipe.stem().native() + ".lock.json");
}

std::string lock_name_of_step(std::size_t index)
{
    return fmt::format("step {}", index + 1);
}

std::map<std::string, Digest> locked_inputs(const recipes::Recipe& recipe, const std::optional<Digest>& parent)
{
    std::map<std::string, Digest> inputs;
    for (const recipes::Input& input : recipe.inputs) {
        inputs.insert_or_assign(input.name, input.digest);
    }
    if (const auto* ami = std::get_if<recipes::AmiBase>(&recipe.base); ami != nullptr && parent) {
        inputs.insert_or_assign(name_of(*ami), *parent);
    }
    if (const auto* disk = std::get_if<recipes::DiskBase>(&recipe.base)) {
        inputs.insert_or_assign("base.disk", disk->sha256);
    }
    if (const auto* rootfs = std::get_if<recipes::RootfsBase>(&recipe.base)) {
        inputs.insert_or_assign("base.rootfs", rootfs->sha256);
    }
    return inputs;
}

std::optional<Digest> locked_parent(const LockFile& lock, const recipes::Recipe& recipe)
{
    const auto* base = std::get_if<recipes::AmiBase>(&recipe.base);
    const auto found = base != nullptr ? lock.inputs.find(name_of(*base)) : lock.inputs.end();
    return found != lock.inputs.end() ? std::optional(found->second) : std::nullopt;
}

Json to_json(const LockFile& lock)
{
    Json inputs = Json::object();
    for (const auto& [name, digest] : lock.inputs) {
        inputs[name] = digest.to_string();
    }
    Json layers = Json::array();
    for (const LockFile::Layer& layer : lock.layers) {
        layers.push_back({{"step", layer.step}, {"packages", to_json(layer.packages)}});
    }
    return {{"kiln_lock", format_version}, {"inputs", std::move(inputs)}, {"layers", std::move(layers)}};
}

std::string to_text(const LockFile& lock)
{
    return to_json(lock).dump(2) + "\n";
}

LockFile lock_file_from_json(const Json& document, std::string_view file)
{
    if (integer_member(document, "kiln_lock", file) != format_version) {
        throw Error(ErrorKind::io, fmt::format("{} is a lock file of another version", file),
                    "renew it with `kiln build --lock`");
    }
    const Json& inputs = member(document, "inputs", file);
    const Json& layers = member(document, "layers", file);
    if (!inputs.is_object() || !layers.is_array()) {
        throw Error(ErrorKind::io, fmt::format(R"({}: "inputs" is no object or "layers" no list)", file));
    }
    LockFile lock;
    for (const auto& [name, value] : inputs.items()) {
        const auto digest = Digest::parse(string_member(inputs, name, file));
        if (!digest) {
            throw Error(ErrorKind::io, fmt::format("{}: the digest of {} is wrong", file, printable(name, false)));
        }
        lock.inputs.insert_or_assign(name, *digest);
    }
    for (const Json& layer : layers) {
        lock.layers.push_back(
            {string_member(layer, "step", file), installed_packages_from_json(member(layer, "packages", file))});
        require_packages(lock.layers.back().packages, file);
    }
    return lock;
}

LockFile parse_lock_file(std::string_view text, std::string_view file)
{
    return lock_file_from_json(parse_json(text, file), file);
}

std::optional<LockFile> find_lock_file(const fs::path& file)
{
    if (!fs::exists(file)) {
        return std::nullopt;
    }
    return parse_lock_file(read_file(file, largest_lock_file), file.native());
}

void save_lock_file(const LockFile& lock, const fs::path& file)
{
    write_file_durably(file, to_text(lock), 0644);
}

std::string apt_preferences(const LockFile::Layer& layer)
{
    std::string text;
    for (const InstalledPackage& package : layer.packages) {
        text += fmt::format("Package: {}\nPin: version {}\nPin-Priority: 1001\n\n", package.name, package.version);
    }
    return text;
}

std::vector<std::string> differences(const LockFile::Layer& locked, const LockFile::Layer& built)
{
    std::vector<std::string> lines;
    const ByName theirs = by_name(built);
    const ByName ours = by_name(locked);
    for (const auto& [key, package] : ours) {
        const std::string of = fmt::format("{}: {} {}", locked.step, package->name, package->version);
        const auto other = theirs.find(key);
        if (other == theirs.end()) {
            lines.push_back(of + " is locked, the build does not install it");
        } else if (other->second->version != package->version) {
            lines.push_back(fmt::format("{} is locked, the build has {}", of, other->second->version));
        } else if (package->sha256 && other->second->sha256 && package->sha256 != other->second->sha256) {
            lines.push_back(of + " has another digest than the locked one");
        }
    }
    for (const auto& [key, package] : theirs) {
        if (!ours.contains(key)) {
            lines.push_back(
                fmt::format("{}: {} {} is installed and not locked", locked.step, package->name, package->version));
        }
    }
    return lines;
}

std::vector<std::string> differences(const LockFile& locked, const LockFile& built)
{
    std::vector<std::string> lines;
    compare_inputs(locked, built, lines);
    for (const LockFile::Layer& layer : locked.layers) {
        if (const LockFile::Layer* other = built.find(layer.step)) {
            std::ranges::move(differences(layer, *other), std::back_inserter(lines));
        } else {
            lines.push_back(layer.step + " is locked, the recipe installs no packages there");
        }
    }
    for (const LockFile::Layer& layer : built.layers) {
        if (locked.find(layer.step) == nullptr) {
            lines.push_back(layer.step + " installs packages and is not locked");
        }
    }
    return lines;
}

void require_same(const LockFile::Layer& locked, const LockFile::Layer& built)
{
    throw_for(differences(locked, built));
}

void require_same(const LockFile& locked, const LockFile& built)
{
    throw_for(differences(locked, built));
}

} // namespace kiln::builder
