// SPDX-License-Identifier: Apache-2.0
// The packed memory or disk of a template from a stranger's registry: refused as untrusted, or unpacked to just its
// size.
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/packed_image.h"
#include "tests/fuzz/require.h"

#include <cstddef>
#include <cstdint>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    constexpr std::size_t image_size = (std::size_t{2} << 20U) + 1000; // of the corpus
    const kiln::FileDescriptor from(::memfd_create("packed", MFD_CLOEXEC));
    const kiln::FileDescriptor into(::memfd_create("image", MFD_CLOEXEC));
    kiln::fuzz::require(::write(from.get(), data, size) == static_cast<ssize_t>(size) &&
                            ::ftruncate(into.get(), image_size) == 0,
                        "there is memory");
    try {
        kiln::unpack_image(from.get(), into.get(), kiln::ByteSize(image_size), "it");
    } catch (const kiln::Error& error) {
        kiln::fuzz::require(error.kind() == kiln::ErrorKind::untrusted, "a refusal is for distrust");
    }
    struct stat status {
    };
    kiln::fuzz::require(::fstat(into.get(), &status) == 0 && status.st_size == static_cast<off_t>(image_size),
                        "nothing is written behind its end");
    return 0;
}
