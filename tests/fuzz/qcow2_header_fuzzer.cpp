// SPDX-License-Identifier: Apache-2.0
// The beginning of a qcow2 file, as it is and as that of a much longer file: it is refused as untrusted, or it
// is what the header promises. The fields are read here a second time, without the reader's help.
#include "core/error.h"
#include "core/qcow2_header.h"
#include "tests/fuzz/require.h"

#include <cstddef>
#include <cstdint>

namespace kiln::fuzz
{
namespace
{

std::uint64_t big_endian(std::string_view bytes, std::size_t offset, std::size_t length)
{
    std::uint64_t value = 0;
    for (const char c : bytes.substr(offset, length)) {
        value = value << 8U | static_cast<unsigned char>(c);
    }
    return value;
}

void read_header(std::string_view start, ByteSize length)
{
    try {
        const Qcow2Header header = require_safe_qcow2(start, length);
        require(header.version == 2 || header.version == 3, "a version that Kiln reads");
        require(header.cluster_bits >= 9 && header.cluster_bits <= 21, "clusters of 512 B to 2 MiB");
        require(header.virtual_size <= largest_foreign_disk, "a disk that is not too large");
        require(start.size() >= 72, "a whole header");
        require(big_endian(start, 16, 4) == 0, "no backing file, whose name has this length");
        require(big_endian(start, 32, 4) == 0, "no encryption");
        require(big_endian(start, 60, 4) == 0, "no snapshots");
        require(big_endian(start, 40, 8) + big_endian(start, 36, 4) * 8 <= length.bytes(), "an L1 table in the file");
        if (header.version == 3) {
            require((big_endian(start, 72, 8) & 7U) == 0, "no external data file, not dirty, not corrupt");
        }
    } catch (const Error& error) {
        require(error.kind() == ErrorKind::untrusted, "a refusal is for distrust");
    }
}

} // namespace
} // namespace kiln::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view start(reinterpret_cast<const char*>(data), size);
    kiln::fuzz::read_header(start, kiln::ByteSize(size));
    kiln::fuzz::read_header(start, kiln::gibibytes(1024));
    return 0;
}
