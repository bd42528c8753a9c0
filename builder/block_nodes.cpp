// SPDX-License-Identifier: Apache-2.0
#include "builder/block_nodes.h"

#include "core/process.h"

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

Json file_node(const fs::path& file, bool read_only)
{
    return {{"driver", "file"},
            {"filename", file.native()},
            {"read-only", read_only},
            {"discard", "unmap"},
            {"cache", {{"no-flush", true}}}};
}

} // namespace

Json raw_node(const std::string& name, const fs::path& file, bool read_only)
{
    return {{"driver", "raw"}, {"node-name", name}, {"read-only", read_only}, {"file", file_node(file, read_only)}};
}

Json qcow2_node(const std::string& name, const fs::path& file, bool read_only, const Json& backing)
{
    return {{"driver", "qcow2"},  {"node-name", name},  {"read-only", read_only},
            {"discard", "unmap"}, {"backing", backing}, {"file", file_node(file, read_only)}};
}

Json nbd_export(const std::string& name, const std::string& node, bool writable)
{
    return {{"type", "nbd"}, {"id", name}, {"node-name", node}, {"name", name}, {"writable", writable}};
}

void create_overlay(const fs::path& file, ByteSize size, const std::vector<std::string>& options)
{
    std::vector<std::string> argv = {"qemu-img", "create", "-q", "-f", "qcow2"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {file.native(), std::to_string(size.bytes())});
    run_or_throw({.argv = std::move(argv)}, "creating a disk layer");
}

void create_layer(const fs::path& file, ByteSize size)
{
    create_overlay(file, size, {"-o", "compression_type=zstd"});
}

} // namespace kiln::builder
