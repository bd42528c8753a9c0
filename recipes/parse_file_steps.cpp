// SPDX-License-Identifier: Apache-2.0
// Steps that put files into the image: `file`, `tree`, `archive`.
#include "recipes/parse_parts.h"
#include "recipes/step_parsers.h"

#include <fmt/format.h>

namespace kiln::recipes
{
namespace
{

template <class AnyStep> void parse_owner(TableReader& table, AnyStep& step)
{
    step.owner = table.find("owner", rules::account).value_or(step.owner);
    step.group = table.find("group", rules::account).value_or(step.group);
}

std::string parse_content(TableReader& table, SourceFiles& sources)
{
    const bool has_content = table.has("content");
    const bool has_source = table.has("source");
    const auto content = table.find("content", rules::content);
    const auto wanted = table.find("sha256", rules::sha256);
    if (has_content == has_source) {
        (void)table.find("source", rules::source_path);
        table.fail({has_content ? "has both content and source" : "has neither content nor source",
                    "exactly one of them says what is in the file"});
        return {};
    }
    if (has_content) {
        if (table.has("sha256")) {
            table.fail("sha256", {"is for a source", "the content stands here, so that it needs no digest"});
        }
        return content.value_or("");
    }
    const auto source = require_source(table, "source", sources);
    if (source && wanted && digest_of(*source) != *wanted) {
        table.fail("sha256", {fmt::format("is {}, but the source has {}", wanted->hex(), digest_of(*source).hex()),
                              "the file is another one or was changed"});
    }
    return source.value_or("");
}

} // namespace

std::optional<std::string> require_source(TableReader& table, std::string_view key, SourceFiles& sources)
{
    const auto path = table.require(key, rules::source_path);
    if (!path) {
        return std::nullopt;
    }
    auto read = sources.read(*path);
    if (auto* problem = std::get_if<Problem>(&read)) {
        table.fail(key, std::move(*problem));
        return std::nullopt;
    }
    return std::get<std::string>(std::move(read));
}

FileStep parse_file(TableReader& table, SourceFiles& sources)
{
    FileStep step;
    step.path = table.require("file", rules::guest_path).value_or("");
    step.content = parse_content(table, sources);
    step.mode = table.find("mode", rules::file_mode).value_or(step.mode);
    parse_owner(table, step);
    return step;
}

TreeStep parse_tree(TableReader& table, SourceFiles& sources)
{
    TreeStep step;
    step.path = table.require("tree", rules::guest_folder).value_or("");
    if (const auto source = table.require("source", rules::source_path)) {
        auto entries = sources.walk(*source);
        if (auto* problem = std::get_if<Problem>(&entries)) {
            table.fail("source", std::move(*problem));
        } else {
            step.entries = std::get<std::vector<TreeStep::Entry>>(std::move(entries));
        }
    }
    parse_owner(table, step);
    return step;
}

std::optional<ArchiveStep> parse_archive(TableReader& table, SourceFiles& sources)
{
    const std::string path = table.require("archive", rules::guest_folder).value_or("");
    const auto source = table.require("source", rules::source_path);
    const auto wanted = table.find("sha256", rules::sha256);
    const auto strip = static_cast<int>(table.find_integer("strip", 0, 0, 32));
    struct {
        std::string owner = "root";
        std::string group = "root";
    } who;
    parse_owner(table, who);
    if (!source) {
        return std::nullopt;
    }
    auto found = sources.locate(*source);
    if (auto* problem = std::get_if<Problem>(&found)) {
        table.fail("source", std::move(*problem));
        return std::nullopt;
    }
    const auto& file = std::get<LocatedFile>(found);
    check_digest(table, wanted, file, *source);
    return ArchiveStep{
        .path = path, .file = file.path, .sha256 = file.digest, .strip = strip, .owner = who.owner, .group = who.group};
}

} // namespace kiln::recipes
