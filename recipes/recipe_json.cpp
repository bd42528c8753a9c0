// SPDX-License-Identifier: Apache-2.0
// The resolved recipe as JSON: every field, null for none, seconds and bytes as integers. A file's
// content is there by digest, as it may be any bytes; the place of the recipe is not.
#include "recipes/recipe.h"

#include <fmt/format.h>

#include <array>

namespace kiln::recipes
{
namespace
{

constexpr int recipe_schema = 1;

Json or_null(const std::string& text)
{
    return text.empty() ? Json(nullptr) : Json(text);
}

template <class T> Json or_null(const std::optional<T>& value)
{
    return value ? Json(*value) : Json(nullptr);
}

Json or_null(const std::optional<Digest>& digest)
{
    return digest ? Json(digest->to_string()) : Json(nullptr);
}

std::string octal(std::uint32_t mode)
{
    return fmt::format("{:04o}", mode);
}

struct BaseJson {
    Json operator()(const BootstrapBase& base) const
    {
        return {{"kind", "bootstrap"},           {"distribution", base.distribution},
                {"suite", base.suite},           {"mirror", or_null(base.mirror)},
                {"components", base.components}, {"variant", base.variant}};
    }
    Json operator()(const AmiBase& base) const { return {{"kind", "ami"}, {"ami", base.reference}}; }
    Json operator()(const DiskBase& base) const
    {
        return {{"kind", "disk"}, {"format", base.format}, {"sha256", base.sha256.to_string()}};
    }
    Json operator()(const RootfsBase& base) const
    {
        return {{"kind", "rootfs"}, {"format", base.format}, {"sha256", base.sha256.to_string()}};
    }
};

Json part_json(const VolumePart& part)
{
    return {{"name", or_null(part.name)},         {"size", part.size ? Json(part.size->bytes()) : Json(nullptr)},
            {"filesystem", part.filesystem.type}, {"mount", or_null(part.filesystem.mount)},
            {"options", part.filesystem.options}, {"label", or_null(part.filesystem.label)}};
}

std::string_view name_of(Volume::Layout layout)
{
    switch (layout) {
    case Volume::Layout::whole:
        return "whole";
    case Volume::Layout::partitions:
        return "partitions";
    case Volume::Layout::lvm:
        return "lvm";
    }
    return "";
}

std::string_view name_of(ServiceStep::State state)
{
    switch (state) {
    case ServiceStep::State::enabled:
        return "enabled";
    case ServiceStep::State::disabled:
        return "disabled";
    case ServiceStep::State::masked:
        return "masked";
    }
    return "";
}

struct StepJson {
    Json operator()(const FileStep& step) const
    {
        return {{"kind", "file"},
                {"path", step.path},
                {"content", {{"digest", digest_of(step.content).to_string()}, {"size", step.content.size()}}},
                {"mode", octal(step.mode)},
                {"owner", step.owner},
                {"group", step.group}};
    }
    Json operator()(const RunStep& step) const
    {
        return {{"kind", "run"},           {"script", step.script},          {"environment", step.environment},
                {"folder", step.folder},   {"secrets", step.secrets},        {"statuses", step.statuses},
                {"network", step.network}, {"timeout", step.timeout.count()}};
    }
    Json operator()(const UserStep& step) const
    {
        return {{"kind", "user"},
                {"name", step.name},
                {"uid", or_null(step.uid)},
                {"comment", or_null(step.comment)},
                {"home", or_null(step.home)},
                {"groups", step.groups},
                {"shell", step.shell},
                {"system", step.system},
                {"sudo", step.sudo},
                {"password_hash", or_null(step.password_hash)},
                {"ssh_authorized_keys", step.ssh_authorized_keys}};
    }
    Json operator()(const ServiceStep& step) const
    {
        return {{"kind", "service"},
                {"name", step.name},
                {"state", name_of(step.state)},
                {"drop_in", or_null(step.drop_in)}};
    }
    Json operator()(const TreeStep& step) const
    {
        constexpr std::array<std::string_view, 3> kinds{"file", "folder", "link"};
        Json entries = Json::array();
        for (const TreeStep::Entry& entry : step.entries) {
            entries.push_back({{"path", entry.path},
                               {"kind", kinds.at(static_cast<std::size_t>(entry.kind))},
                               {"target", or_null(entry.target)},
                               {"mode", octal(entry.mode)},
                               {"digest", or_null(entry.digest)},
                               {"size", entry.size.bytes()}});
        }
        return {{"kind", "tree"},
                {"path", step.path},
                {"entries", std::move(entries)},
                {"owner", step.owner},
                {"group", step.group}};
    }
    Json operator()(const ArchiveStep& step) const
    {
        return {{"kind", "archive"},   {"path", step.path},   {"sha256", step.sha256.to_string()},
                {"strip", step.strip}, {"owner", step.owner}, {"group", step.group}};
    }
    Json operator()(const PackagesStep& step) const
    {
        return {{"kind", "packages"}, {"add", step.add}, {"remove", step.remove}, {"hold", step.hold}};
    }
    Json operator()(const AptSourceStep& step) const
    {
        return {{"kind", "apt_source"},
                {"name", step.name},
                {"uri", step.uri},
                {"suite", step.suite},
                {"components", step.components},
                {"key", digest_of(step.key).to_string()}};
    }
    Json operator()(const GroupStep& step) const
    {
        return {{"kind", "group"},
                {"name", step.name},
                {"gid", or_null(step.gid)},
                {"system", step.system},
                {"members", step.members}};
    }
    Json operator()(const HostnameStep& step) const { return {{"kind", "hostname"}, {"name", step.name}}; }
    Json operator()(const TimezoneStep& step) const { return {{"kind", "timezone"}, {"zone", step.zone}}; }
    Json operator()(const LocaleStep& step) const { return {{"kind", "locale"}, {"locale", step.locale}}; }
    Json operator()(const SysctlStep& step) const { return {{"kind", "sysctl"}, {"values", step.values}}; }
    Json operator()(const KernelModulesStep& step) const
    {
        return {{"kind", "kernel_modules"}, {"load", step.load}, {"block", step.block}};
    }
    Json operator()(const CertificateAuthorityStep& step) const
    {
        return {{"kind", "certificate_authority"}, {"name", step.name}, {"pem", step.pem}};
    }
};

struct CheckJson {
    Json operator()(const RunTest& test) const
    {
        return {{"kind", "run"},
                {"command", test.command},
                {"status", test.status},
                {"output", or_null(test.output)},
                {"timeout", test.timeout.count()}};
    }
    Json operator()(const ConsoleTest& test) const
    {
        return {{"kind", "console"}, {"pattern", test.pattern}, {"timeout", test.timeout.count()}};
    }
    Json operator()(const PortTest& test) const
    {
        return {{"kind", "port"}, {"port", test.port}, {"timeout", test.timeout.count()}};
    }
    Json operator()(const HttpTest& test) const
    {
        return {{"kind", "http"},        {"port", test.port},          {"path", test.path},
                {"status", test.status}, {"body", or_null(test.body)}, {"timeout", test.timeout.count()}};
    }
};

Json steps_json(const std::vector<Step>& steps)
{
    Json json = Json::array();
    for (const Step& step : steps) {
        json.push_back(to_json(step));
    }
    return json;
}

// "warm" only where it is asked for, so that the digests of recipes that say nothing of it stay what they were.
Json launch_json(const LaunchDefaults& launch)
{
    Json json{{"public", launch.is_public},
              {"accounts", launch.accounts},
              {"instance_type", or_null(launch.instance_type)},
              {"minimum_memory", launch.minimum_memory.bytes()},
              {"tags", launch.tags},
              {"deprecated_on", or_null(launch.deprecated_on)}};
    if (launch.warm) {
        json["warm"] = true;
    }
    return json;
}

} // namespace

Json to_json(const Step& step)
{
    return std::visit(StepJson{}, step.action);
}

Json to_json(const Volume& volume)
{
    Json parts = Json::array();
    for (const VolumePart& part : volume.parts) {
        parts.push_back(part_json(part));
    }
    return {{"device", volume.device},
            {"size", volume.size.bytes()},
            {"type", volume.type},
            {"delete_on_termination", volume.delete_on_termination},
            {"encrypted", volume.encrypted},
            {"layout", name_of(volume.layout)},
            {"volume_group", or_null(volume.volume_group)},
            {"parts", std::move(parts)}};
}

Json to_json(const Boot& boot)
{
    return {{"firmware", boot.firmware},
            {"kernel_command_line", boot.kernel_command_line},
            {"serial_console", boot.serial_console}};
}

std::string Recipe::version_text() const
{
    return next_patch ? fmt::format("{}.{}.x", version.major, version.minor) : version.to_string();
}

Json to_json(const Recipe& recipe)
{
    Json tests = Json::array();
    for (const Test& test : recipe.tests) {
        Json json = std::visit(CheckJson{}, test.check);
        json["name"] = test.name;
        tests.push_back(std::move(json));
    }
    Json volumes = Json::array();
    for (const Volume& volume : recipe.volumes) {
        volumes.push_back(to_json(volume));
    }
    return {{"schema", recipe_schema},
            {"name", recipe.name},
            {"version", recipe.version_text()},
            {"description", recipe.description},
            {"architecture", recipe.architecture},
            {"base", std::visit(BaseJson{}, recipe.base)},
            {"storage", std::move(volumes)},
            {"boot", to_json(recipe.boot)},
            {"packages", recipe.packages},
            {"steps", steps_json(recipe.steps)},
            {"validations", steps_json(recipe.validations)},
            {"tests", std::move(tests)},
            {"launch", launch_json(recipe.launch)},
            {"keep", recipe.keep}};
}

} // namespace kiln::recipes
