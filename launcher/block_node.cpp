// SPDX-License-Identifier: Apache-2.0
#include "launcher/block_node.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>

namespace kiln::launcher
{
namespace
{

constexpr std::string_view what = "QEMU's answer";

std::string set_name(std::int64_t set)
{
    return fmt::format("/dev/fdset/{}", set);
}

FileDescriptor open_file(const std::string& path, int flags)
{
    FileDescriptor fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", path));
    }
    return fd;
}

// Never throws an Error: QEMU may have ended.
void remove_set(QmpClient& qmp, std::int64_t set)
{
    try {
        qmp.execute("remove-fd", {{"fdset-id", set}});
    } catch (const Error&) {
    }
}

} // namespace

std::vector<FileDescriptor> open_file_of(const Json& node)
{
    std::vector<FileDescriptor> opened;
    const auto file = node.find("file");
    if (file == node.end() || !file->is_object() || file->value("driver", "") != "file") {
        return opened;
    }
    const std::string path = file->at("filename").get<std::string>();
    if (!file->value("read-only", false)) {
        opened.push_back(open_file(path, O_RDWR));
    }
    opened.push_back(open_file(path, O_RDONLY));
    return opened;
}

Json with_file_set(Json node, std::int64_t set)
{
    node.at("file").at("filename") = set_name(set);
    return node;
}

void add_block_node(QmpClient& qmp, const Json& node)
{
    const std::vector<FileDescriptor> files = open_file_of(node);
    if (files.empty()) {
        qmp.execute("blockdev-add", node);
        return;
    }
    std::optional<std::int64_t> set;
    try {
        for (const FileDescriptor& file : files) {
            Json arguments = {{"opaque", node.at("node-name")}};
            if (set) {
                arguments["fdset-id"] = *set;
            }
            set = integer_member(qmp.execute_with_descriptor("add-fd", arguments, file.get()), "fdset-id", what);
        }
        qmp.execute("blockdev-add", with_file_set(node, *set));
    } catch (const Error&) {
        if (set) {
            remove_set(qmp, *set);
        }
        throw;
    }
}

void remove_block_node(QmpClient& qmp, const std::string& name)
{
    qmp.execute("blockdev-del", {{"node-name", name}});
    for (const Json& set : qmp.execute("query-fdsets")) {
        const Json& files = member(set, "fds", what);
        const auto is_of_node = [&](const Json& fd) { return fd.is_object() && fd.value("opaque", Json()) == name; };
        if (std::any_of(files.begin(), files.end(), is_of_node)) {
            remove_set(qmp, integer_member(set, "fdset-id", what));
        }
    }
}

PassedDescriptor::PassedDescriptor(QmpClient& qmp, int descriptor)
    : qmp_(qmp),
      set_(integer_member(qmp.execute_with_descriptor("add-fd", Json::object(), descriptor), "fdset-id", what))
{
}

PassedDescriptor::~PassedDescriptor()
{
    remove_set(qmp_, set_);
}

std::string PassedDescriptor::name() const
{
    return set_name(set_);
}

} // namespace kiln::launcher
