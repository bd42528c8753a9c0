// SPDX-License-Identifier: Apache-2.0
#include "builder/provenance.h"

#include "core/accelerator.h"
#include "core/process.h"
#include "core/text.h"

#include <fmt/format.h>

#include <regex>

namespace kiln::builder
{
namespace
{

Json digest_set(const Digest& digest)
{
    return {{"sha256", digest.hex()}};
}

Json base_dependency(const recipes::Recipe& recipe, const std::optional<Digest>& parent)
{
    if (const auto* ami = std::get_if<recipes::AmiBase>(&recipe.base); ami != nullptr && parent) {
        return {{"name", "ami " + ami->reference}, {"digest", digest_set(*parent)}};
    }
    if (const auto* disk = std::get_if<recipes::DiskBase>(&recipe.base)) {
        return {{"name", disk->file.filename().native()}, {"digest", digest_set(disk->sha256)}};
    }
    if (const auto* rootfs = std::get_if<recipes::RootfsBase>(&recipe.base)) {
        return {{"name", rootfs->file.filename().native()}, {"digest", digest_set(rootfs->sha256)}};
    }
    return nullptr;
}

Json resolved_dependencies(const recipes::Recipe& recipe, const ProvenanceFacts& facts)
{
    Json list = Json::array();
    if (Json base = base_dependency(recipe, facts.parent); !base.is_null()) {
        list.push_back(std::move(base));
    }
    for (const recipes::Input& input : recipe.inputs) {
        list.push_back({{"name", input.name}, {"digest", digest_set(input.digest)}});
    }
    for (const InstalledPackage& package : facts.packages) {
        Json entry = {{"name", fmt::format("{}_{}_{}.deb", package.name, package.version, package.architecture)},
                      {"mediaType", "application/vnd.debian.binary-package"}};
        if (!package.uri.empty()) {
            entry["uri"] = package.uri;
        }
        if (package.sha256) {
            entry["digest"] = digest_set(*package.sha256);
        }
        list.push_back(std::move(entry));
    }
    return list;
}

Json builder_dependencies(const ProvenanceFacts& facts)
{
    Json list = Json::array();
    for (const auto& [name, version] : facts.tools) {
        list.push_back({{"name", name}, {"annotations", {{"version", version}}}});
    }
    return list;
}

} // namespace

Json provenance_predicate(const recipes::Recipe& recipe, const ProvenanceFacts& facts)
{
    Json parameters = Json::object();
    for (const auto& [name, value] : facts.parameters) {
        parameters[name] = value;
    }
    return {{"buildDefinition",
             {{"buildType", "https://kiln.invalid/build/recipe/v1"},
              {"externalParameters",
               {{"recipe",
                 {{"name", recipe.name},
                  {"version", recipe.version_text()},
                  {"architecture", recipe.architecture},
                  {"digest", recipe.digest ? digest_set(*recipe.digest) : Json::object()}}},
                {"parameters", std::move(parameters)}}},
              {"internalParameters", Json::object()},
              {"resolvedDependencies", resolved_dependencies(recipe, facts)}}},
            {"runDetails",
             {{"builder",
               {{"id", fmt::format("https://kiln.invalid/builder/{}", facts.account)},
                {"version", {{"kiln", facts.kiln_version}}},
                {"builderDependencies", builder_dependencies(facts)}}},
              {"metadata",
               {{"invocationId", facts.invocation}, {"startedOn", facts.started}, {"finishedOn", facts.finished}}},
              {"byproducts", Json::array()}}}};
}

std::string version_in(std::string_view output)
{
    static const std::regex number("[0-9]+\\.[0-9]+(\\.[0-9]+)*");
    std::cmatch match;
    const std::string_view line = output.substr(0, std::min(output.find('\n'), std::size_t{300}));
    return std::regex_search(line.data(), line.data() + line.size(), match, number) ? match[0].str() : std::string{};
}

std::map<std::string, std::string> tool_versions()
{
    std::map<std::string, std::string> versions;
    for (const char* program :
         {"qemu-img", "qemu-system-x86_64", "qemu-storage-daemon", "mmdebstrap", "apt-get", "supermin"}) {
        const ProcessResult result = run({.argv = {program, "--version"}, .timeout = std::chrono::seconds(10)});
        if (const std::string version = version_in(result.output); result.succeeded() && !version.empty()) {
            versions[program] = version;
        }
    }
    // libguestfs's own package, for want of a program of its own.
    const ProcessResult library = run({.argv = {"dpkg-query", "--show", "--showformat=${Version}", "libguestfs0"}});
    if (library.succeeded() && !library.output.empty()) {
        versions["libguestfs"] = printable(library.output, false);
    }
    if (const auto kernel = find_kernel()) {
        versions["appliance kernel"] = kernel->filename().native();
    }
    return versions;
}

} // namespace kiln::builder
