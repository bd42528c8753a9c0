// SPDX-License-Identifier: Apache-2.0
// The resolved recipe as JSON: every field, null for none, seconds and bytes as integers. A file's
// content is there by digest, as it may be any bytes; the place of the recipe is not.
#include "recipes/recipe.h"

#include <fmt/format.h>

namespace kiln::recipes
{
namespace
{

constexpr int recipe_schema = 1;

Json or_null(const std::string& text)
{
    return text.empty() ? Json(nullptr) : Json(text);
}

struct StepJson {
    Json operator()(const FileStep& step) const
    {
        return {{"kind", "file"},
                {"path", step.path},
                {"content", {{"digest", digest_of(step.content).to_string()}, {"size", step.content.size()}}},
                {"mode", fmt::format("{:04o}", step.mode)},
                {"owner", step.owner},
                {"group", step.group}};
    }
    Json operator()(const RunStep& step) const
    {
        return {{"kind", "run"}, {"script", step.script}, {"network", step.network}, {"timeout", step.timeout.count()}};
    }
    Json operator()(const UserStep& step) const
    {
        return {{"kind", "user"},      {"name", step.name}, {"groups", step.groups},
                {"shell", step.shell}, {"sudo", step.sudo}, {"ssh_authorized_keys", step.ssh_authorized_keys}};
    }
    Json operator()(const ServiceStep& step) const
    {
        return {{"kind", "service"}, {"name", step.name}, {"enabled", step.enabled}};
    }
};

struct CheckJson {
    Json operator()(const RunTest& test) const
    {
        return {{"kind", "run"},
                {"command", test.command},
                {"status", test.status},
                {"output", test.output ? Json(*test.output) : Json(nullptr)},
                {"timeout", test.timeout.count()}};
    }
    Json operator()(const ConsoleTest& test) const
    {
        return {{"kind", "console"}, {"pattern", test.pattern}, {"timeout", test.timeout.count()}};
    }
};

} // namespace

Json to_json(const Recipe& recipe)
{
    Json steps = Json::array();
    for (const Step& step : recipe.steps) {
        steps.push_back(std::visit(StepJson{}, step.action));
    }
    Json tests = Json::array();
    for (const Test& test : recipe.tests) {
        Json json = std::visit(CheckJson{}, test.check);
        json["name"] = test.name;
        tests.push_back(std::move(json));
    }
    Json volume = {{"device", recipe.root.device},
                   {"size", recipe.root.size.bytes()},
                   {"filesystem", recipe.root.filesystem},
                   {"delete_on_termination", recipe.root.delete_on_termination}};
    Json base = {
        {"bootstrap", recipe.base.distribution}, {"suite", recipe.base.suite}, {"mirror", or_null(recipe.base.mirror)}};
    return {{"schema", recipe_schema},
            {"name", recipe.name},
            {"version", recipe.version.to_string()},
            {"description", recipe.description},
            {"architecture", recipe.architecture},
            {"base", std::move(base)},
            {"storage", Json::array({std::move(volume)})},
            {"packages", recipe.packages},
            {"steps", std::move(steps)},
            {"tests", std::move(tests)}};
}

} // namespace kiln::recipes
