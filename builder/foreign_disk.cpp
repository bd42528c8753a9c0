// SPDX-License-Identifier: Apache-2.0
#include "builder/foreign_disk.h"

#include "builder/raw_disk.h"
#include "builder/vmdk_header.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/json.h"
#include "core/private_copy.h"
#include "core/process.h"
#include "core/qcow2_header.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

// Of qemu-img: far above what a real disk takes, far below what hurts the host.
constexpr ByteSize most_memory = gibibytes(4); // of address space; its threads' stacks count too
constexpr std::chrono::hours most_time{1};
constexpr std::chrono::hours most_processor_time{4};

ByteSize require_safe(int fd, std::string_view format)
{
    struct stat status {
    };
    if (::fstat(fd, &status) != 0) {
        throw system_error(errno, "reading a disk image");
    }
    if (!S_ISREG(status.st_mode)) {
        throw Error(ErrorKind::untrusted, "it is not a regular file");
    }
    const ByteSize length(static_cast<std::uint64_t>(status.st_size));
    const auto reader = [&](std::uint64_t offset, std::size_t bytes) {
        return read_at(fd, offset, bytes, "reading a disk image");
    };
    if (format == "qcow2") {
        return require_safe_qcow2(reader(0, qcow2_header_bytes), length).virtual_size;
    }
    if (format == "vmdk") {
        return require_safe_vmdk(reader, length);
    }
    if (format == "raw") {
        return require_safe_raw(reader, length);
    }
    throw Error(ErrorKind::recipe, fmt::format("\"{}\" is no disk format", printable(format, false)),
                "Kiln reads qcow2, raw and vmdk");
}

// `name` is what the user calls the file: the one that is read may be a copy of it.
ByteSize require_safe_disk_named(const fs::path& disk, std::string_view format, const fs::path& name)
{
    // O_NONBLOCK: opening a FIFO must not hang. It means nothing for regular files.
    const FileDescriptor fd(::open(disk.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", disk.native()));
    }
    try {
        return require_safe(fd.get(), format);
    } catch (Error& error) {
        error.while_doing(fmt::format("the disk image {} can't be used as {}", printable(name.native(), false),
                                      printable(format, false)));
        throw;
    }
}

// The whole graph of block nodes, so that QEMU has nothing to guess or to look up in the file.
std::string source_node(const fs::path& file, std::string_view format)
{
    Json node = {{"driver", format}, {"file", {{"driver", "file"}, {"filename", file.native()}}}};
    if (format == "qcow2") {
        node["backing"] = nullptr;
    }
    return "json:" + node.dump();
}

Command limited(std::vector<std::string> argv, std::uint64_t most_bytes)
{
    return {.argv = std::move(argv),
            .timeout = most_time,
            .limits = {{RLIMIT_AS, most_memory.bytes()},
                       {RLIMIT_CPU, std::chrono::seconds(most_processor_time).count()},
                       {RLIMIT_FSIZE, most_bytes},
                       {RLIMIT_CORE, 0}}};
}

// A table that leads out of the file reads as zeroes: converting says nothing of the data that is missing.
void require_sound(const fs::path& disk, std::string_view format, const fs::path& name, const std::stop_token& stop)
{
    constexpr int leaks_only = 3; // space that nobody uses
    const ProcessResult result = run(limited({"qemu-img", "check", "-q", source_node(disk, format)}, 0), stop);
    if (result.outcome == ProcessResult::Outcome::exited && (result.status == 0 || result.status == leaks_only)) {
        return;
    }
    if (result.outcome != ProcessResult::Outcome::exited) {
        throw Error(ErrorKind::untrusted, fmt::format("checking the disk image {}: qemu-img {}",
                                                      printable(name.native(), false), result.describe()));
    }
    throw Error(ErrorKind::untrusted,
                fmt::format("the disk image {} is damaged: {}", printable(name.native(), false),
                            printable(result.errors.substr(0, result.errors.find('\n')), false)),
                "`qemu-img check` tells more; take an image that was copied whole");
}

} // namespace

ByteSize require_safe_disk(const fs::path& file, std::string_view format)
{
    return require_safe_disk_named(file, format, file);
}

ByteSize import_disk(const fs::path& file, std::string_view format, const Digest& sha256, const fs::path& layer,
                     const std::stop_token& stop)
{
    const WorkFolder work(layer.parent_path(), "import");
    const fs::path copy = work.path() / "disk";
    make_private_copy(file, copy, sha256, stop);
    const ByteSize size = require_safe_disk_named(copy, format, file);
    const fs::path converted = work.path() / "layer";
    if (format != "raw") {
        require_sound(copy, format, file, stop);
    }
    // No layer is larger than its disk and the tables for it, 1/8192 of it and some clusters.
    const std::uint64_t most_bytes = size.bytes() + size.bytes() / 1024 + mebibytes(16).bytes();
    run_or_throw(limited({"qemu-img", "convert", "-c", "-m", "8", "-W", "-O", "qcow2", "-o", "compression_type=zstd",
                          source_node(copy, format), converted.native()},
                         most_bytes),
                 fmt::format("converting the disk image {}", printable(file.native(), false)), stop);
    publish_file(converted, layer);
    return size;
}

} // namespace kiln::builder
