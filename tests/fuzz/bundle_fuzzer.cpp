// SPDX-License-Identifier: Apache-2.0
// A bundle from a stranger, or its index alone (what begins with "{"): it is refused as untrusted, or every document in
// it has the digest and size that was given for it, and every layer is written under its own name and digest.
#include "bundle/bundle_file.h"
#include "bundle/bundle_index.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "tests/fuzz/require.h"
#include "tests/support/temporary_folder.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <sys/mman.h>
#include <unistd.h>

namespace kiln::fuzz
{
namespace
{

namespace fs = std::filesystem;

void read_layers(bundle::BundleReader& reader)
{
    const test::TemporaryFolder folder;
    try {
        reader.read_layers(folder.path(), [](ByteSize, ByteSize) {}, {});
        for (const auto& entry : fs::directory_iterator(folder.path())) {
            require(digest_of_file(entry.path()).hex() == entry.path().filename(),
                    "a layer has the digest of its name");
        }
    } catch (const Error& error) {
        require(error.kind() == ErrorKind::untrusted, "a refusal is for distrust");
    }
    require(!fs::exists(folder.path().parent_path() / "escaped"), "nothing gets out of the folder");
}

void read_bundle(std::string_view bytes)
{
    const FileDescriptor fd(::memfd_create("bundle", MFD_CLOEXEC));
    require(::write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "a memory file is written");
    require(::lseek(fd.get(), 0, SEEK_SET) == 0, "a memory file is rewound");
    bundle::BundleReader reader(fd.get());
    bundle::BundleDocuments documents = reader.read_documents();
    std::uint64_t total = 0;
    for (const bundle::Document& document : documents.documents) {
        require(digest_of(document.bytes) == document.descriptor.digest, "a document has its digest");
        require(document.bytes.size() == document.descriptor.size.bytes(), "a document has its size");
        total += document.bytes.size();
    }
    require(total <= bytes.size(), "nothing is made up");
    require(bundle::is_image_name(documents.manifest.name), "an image has an image's name");
    read_layers(reader);
}

} // namespace
} // namespace kiln::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    try {
        if (bytes.starts_with('{')) {
            const auto index = kiln::bundle::parse_bundle_index(bytes);
            kiln::fuzz::require(index.attached.size() <= kiln::bundle::most_attached, "a bounded number of entries");
        } else {
            kiln::fuzz::read_bundle(bytes);
        }
    } catch (const kiln::Error& error) {
        kiln::fuzz::require(error.kind() == kiln::ErrorKind::untrusted, "a refusal is for distrust");
    }
    return 0;
}
