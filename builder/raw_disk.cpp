// SPDX-License-Identifier: Apache-2.0
#include "builder/raw_disk.h"

#include "core/error.h"
#include "core/qcow2_header.h"

#include <fmt/format.h>

#include <array>

namespace kiln::builder
{
namespace
{

using namespace std::string_view_literals;

struct Magic {
    std::int64_t offset; // from the end where it is negative
    std::string_view bytes;
    std::string_view format;
    std::string_view hint;
};

constexpr std::string_view say_qcow2 = "write format = \"qcow2\", if that is what it is meant to be";
constexpr std::string_view say_vmdk = "write format = \"vmdk\", if that is what it is meant to be";
constexpr std::string_view convert = "convert it where it was made: qemu-img convert -O qcow2 OLD NEW";
constexpr std::string_view unpack = "unpack it first; the digest is then that of the unpacked file";

constexpr std::array<Magic, 20> magics{{
    {0, qcow2_magic, "qcow2", say_qcow2},
    {0, vmdk_magic, "VMDK", say_vmdk},
    {0, "COWD"sv, "VMDK", convert},
    {0, "# Disk DescriptorFile"sv, "VMDK", convert},
    {0, "QED\0"sv, "QED", convert},
    {0x40, "\x7f\x10\xda\xbe"sv, "VDI", convert},
    {0, "vhdxfile"sv, "VHDX", convert},
    {0, "conectix"sv, "VHD", convert},
    {-512, "conectix"sv, "VHD", convert},
    {0, "WithoutFreeSpace"sv, "Parallels", convert},
    {0, "WithouFreSpacExt"sv, "Parallels", convert},
    {0, "Bochs Virtual HD Image"sv, "Bochs", convert},
    {0, "#!/bin/sh\n#V2.0 Format\n"sv, "cloop", convert},
    {-512, "koly"sv, "DMG", convert},
    {0, "LUKS\xba\xbe"sv, "LUKS", "decrypt it where it was made"},
    {0, "\x1f\x8b"sv, "gzip", unpack},
    {0,
     "\xfd"
     "7zXZ\0"sv,
     "xz", unpack},
    {0, "\x28\xb5\x2f\xfd"sv, "zstd", unpack},
    {0, "BZh"sv, "bzip2", unpack},
    {0, "PK\x03\x04"sv, "zip", unpack},
}};

} // namespace

ByteSize require_safe_raw(const ReadAt& read_at, ByteSize length)
{
    if (length == ByteSize() || length.bytes() % 512 != 0 || length > largest_foreign_disk) {
        throw Error(ErrorKind::untrusted, fmt::format("its length of {} bytes is not a multiple of 512 bytes up to {}",
                                                      length.bytes(), to_string(largest_foreign_disk)));
    }
    const std::string head = read_at(0, 512);
    const std::string tail = read_at(length.bytes() - 512, 512);
    for (const Magic& magic : magics) {
        const bool at_end = magic.offset < 0;
        const std::string& place = at_end ? tail : head;
        if (std::string_view(place)
                .substr(at_end ? 0 : static_cast<std::size_t>(magic.offset))
                .starts_with(magic.bytes)) {
            throw Error(ErrorKind::untrusted, fmt::format("it looks like a file in {} format", magic.format),
                        std::string(magic.hint));
        }
    }
    return length;
}

} // namespace kiln::builder
