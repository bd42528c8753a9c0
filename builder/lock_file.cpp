// SPDX-License-Identifier: Apache-2.0
#include "builder/lock_file.h"

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr std::int64_t format_version = 1;
constexpr ByteSize largest_lock_file = mebibytes(16);

using ByName = std::map<std::string, const InstalledPackage*>;

ByName by_name(const LockFile::Layer* layer)
{
    ByName packages;
    if (layer != nullptr) {
        for (const InstalledPackage& package : layer->packages) {
            packages[package.name + ":" + package.architecture] = &package;
        }
    }
    return packages;
}

void compare_packages(const std::string& step, const ByName& locked, const ByName& built,
                      std::vector<std::string>& lines)
{
    for (const auto& [key, package] : locked) {
        const auto other = built.find(key);
        if (other == built.end()) {
            lines.push_back(fmt::format("{}: {} {} is locked, the build does not install it", step, package->name,
                                        package->version));
        } else if (other->second->version != package->version) {
            lines.push_back(fmt::format("{}: {} {} is locked, the build has {}", step, package->name, package->version,
                                        other->second->version));
        } else if (package->sha256 && other->second->sha256 && package->sha256 != other->second->sha256) {
            lines.push_back(
                fmt::format("{}: {} {} has another digest than the locked one", step, package->name, package->version));
        }
    }
    for (const auto& [key, package] : built) {
        if (!locked.contains(key)) {
            lines.push_back(
                fmt::format("{}: {} {} is installed and not locked", step, package->name, package->version));
        }
    }
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

} // namespace

const LockFile::Layer* LockFile::find(std::string_view step) const
{
    const auto found = std::ranges::find(layers, step, &Layer::step);
    return found != layers.end() ? &*found : nullptr;
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
        inputs.insert_or_assign(fmt::format("ami {}", ami->reference), *parent);
    }
    if (const auto* disk = std::get_if<recipes::DiskBase>(&recipe.base)) {
        inputs.insert_or_assign("base.disk", disk->sha256);
    }
    if (const auto* rootfs = std::get_if<recipes::RootfsBase>(&recipe.base)) {
        inputs.insert_or_assign("base.rootfs", rootfs->sha256);
    }
    return inputs;
}

std::string to_text(const LockFile& lock)
{
    Json inputs = Json::object();
    for (const auto& [name, digest] : lock.inputs) {
        inputs[name] = digest.to_string();
    }
    Json layers = Json::array();
    for (const LockFile::Layer& layer : lock.layers) {
        layers.push_back({{"step", layer.step}, {"packages", to_json(layer.packages)}});
    }
    const Json document = {{"kiln_lock", format_version}, {"inputs", inputs}, {"layers", layers}};
    return document.dump(2) + "\n";
}

LockFile parse_lock_file(std::string_view text, std::string_view file)
{
    const Json document = parse_json(text, file);
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
    }
    return lock;
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

PackagePins pins_of(const LockFile::Layer& layer)
{
    PackagePins pins;
    for (const InstalledPackage& package : layer.packages) {
        pins[package.name] = package.version;
    }
    return pins;
}

std::vector<std::string> differences(const LockFile& locked, const LockFile& built)
{
    std::vector<std::string> lines;
    compare_inputs(locked, built, lines);
    for (const LockFile::Layer& layer : locked.layers) {
        compare_packages(layer.step, by_name(&layer), by_name(built.find(layer.step)), lines);
    }
    for (const LockFile::Layer& layer : built.layers) {
        if (locked.find(layer.step) == nullptr) {
            compare_packages(layer.step, {}, by_name(&layer), lines);
        }
    }
    return lines;
}

void require_same(const LockFile& locked, const LockFile& built, const fs::path& file)
{
    const std::vector<std::string> lines = differences(locked, built);
    if (!lines.empty()) {
        throw Error(ErrorKind::package,
                    printable(fmt::format("the build is not what {} says:\n  {}", file.native(), join(lines, "\n  "))),
                    "`kiln build --lock` renews the lock file");
    }
}

} // namespace kiln::builder
