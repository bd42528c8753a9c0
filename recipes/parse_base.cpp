// SPDX-License-Identifier: Apache-2.0
// The [base] table, and files whose digest the recipe states.
#include "recipes/kind_of_table.h"
#include "recipes/parse_parts.h"

#include <fmt/format.h>

#include <array>

namespace kiln::recipes
{
namespace
{

BootstrapBase parse_bootstrap(TableReader& table)
{
    BootstrapBase base;
    base.distribution = table.require("bootstrap", rules::distribution).value_or("");
    base.suite = table.require("suite", rules::suite).value_or("");
    base.mirror = table.find("mirror", rules::mirror).value_or("");
    if (table.has("components")) {
        base.components = table.require_list("components", rules::archive_component);
    }
    base.variant = table.find("variant", rules::variant).value_or(base.variant);
    return base;
}

AmiBase parse_ami(TableReader& table)
{
    return table.require("ami", rules::image_reference).value_or(AmiBase());
}

Base parse_disk(TableReader& table, SourceFiles& sources)
{
    const auto path = table.require("disk", rules::host_path);
    const auto format = table.require("format", rules::disk_format);
    const auto wanted = table.find("sha256", rules::sha256);
    if (!path) {
        return {};
    }
    auto found = sources.locate_anywhere(*path);
    if (auto* problem = std::get_if<Problem>(&found)) {
        table.fail("disk", std::move(*problem));
        return {};
    }
    const auto& file = std::get<LocatedFile>(found);
    check_digest(table, wanted, file, *path);
    return DiskBase{.file = file.path, .format = format.value_or(""), .sha256 = file.digest};
}

Base parse_rootfs(TableReader& table, SourceFiles& sources)
{
    const auto path = table.require("rootfs", rules::host_path);
    const auto format = table.require("format", rules::rootfs_format);
    const auto wanted = table.find("sha256", rules::sha256);
    const bool is_layout = format == "oci";
    if (is_layout && !table.has("sha256")) {
        table.fail("sha256", {"is missing", "the digest of the image's manifest, as the layout's index.json has it"});
    }
    if (!path || !format || (is_layout && !wanted)) {
        return {};
    }
    auto found = is_layout ? sources.locate_layout(*path, *wanted) : sources.locate_anywhere(*path);
    if (auto* problem = std::get_if<Problem>(&found)) {
        table.fail("rootfs", std::move(*problem));
        return {};
    }
    const auto& file = std::get<LocatedFile>(found);
    check_digest(table, wanted, file, *path);
    return RootfsBase{.file = file.path, .format = *format, .sha256 = file.digest};
}

} // namespace

void check_digest(TableReader& table, const std::optional<Digest>& wanted, const LocatedFile& file,
                  const std::string& name)
{
    if (!table.has("sha256")) {
        table.fail("sha256", {"is missing", fmt::format("the digest of {} is now \"{}\"; add it when that is the file "
                                                        "that you mean",
                                                        in_quotes(name), file.digest.hex())});
    } else if (wanted && *wanted != file.digest) {
        table.fail("sha256", {fmt::format("is {}, but {} has {}", wanted->hex(), in_quotes(name), file.digest.hex()),
                              "the file is another one or was changed"});
    }
}

Base parse_base(TableReader& root, SourceFiles& sources)
{
    constexpr std::array<std::string_view, 4> kinds{"bootstrap", "ami", "disk", "rootfs"};
    auto table = root.require_table("base");
    const auto kind = table ? find_kind(*table,
                                        KindHints{"an image is made from one of them",
                                                  "exactly one of them says what the image is made from"},
                                        kinds)
                            : std::nullopt;
    if (!kind) {
        return {};
    }
    Base base;
    if (*kind == "bootstrap") {
        base = parse_bootstrap(*table);
    } else if (*kind == "ami") {
        base = parse_ami(*table);
    } else {
        base = *kind == "disk" ? parse_disk(*table, sources) : parse_rootfs(*table, sources);
    }
    table->finish();
    return base;
}

} // namespace kiln::recipes
