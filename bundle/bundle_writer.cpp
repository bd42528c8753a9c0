// SPDX-License-Identifier: Apache-2.0
// The same image makes the same bundle, byte for byte: members have no owner and the time 0.
#include "bundle/bundle_file.h"
#include "bundle/bundle_index.h"
#include "bundle/test_result_type.h"
#include "core/archive_io.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/interrupt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::bundle
{
namespace
{

constexpr std::array attached_types{signature_artifact_type, sbom_artifact_type, provenance_artifact_type,
                                    lock_artifact_type, test_result_artifact_type};

Descriptor descriptor_of(const Digest& digest, std::string_view media_type, const std::string& bytes)
{
    return {std::string(media_type), digest, ByteSize(bytes.size())};
}

void add_once(std::vector<Descriptor>& list, const Descriptor& descriptor)
{
    if (std::ranges::find(list, descriptor.digest, &Descriptor::digest) == list.end()) {
        list.push_back(descriptor);
    }
}

void add_member(TarFile& tar, const std::string& name, std::uint64_t size)
{
    tar.add({.kind = MemberKind::file, .name = name, .size = size, .mode = 0444});
}

void add_text(TarFile& tar, const std::string& name, const std::string& text)
{
    add_member(tar, name, text.size());
    tar.write(text.data(), text.size());
}

[[noreturn]] void refuse_blob(const Descriptor& blob)
{
    throw Error(ErrorKind::untrusted, fmt::format("the blob {} is damaged or was changed", blob.digest.to_string()),
                "`kiln image verify` shows what is wrong with the image");
}

FileDescriptor open_blob(const Layout& layout, const Descriptor& blob)
{
    const std::filesystem::path file = layout.blob_path(blob.digest);
    FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status {
    };
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        throw system_error(errno, fmt::format("opening {}", file.native()));
    }
    if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != blob.size.bytes()) {
        refuse_blob(blob);
    }
    return fd;
}

// Never more bytes than the header of the member says, and never other ones than the digest says.
void copy_blob(TarFile& tar, const Layout& layout, const Descriptor& blob,
               const std::function<void(std::uint64_t)>& copied)
{
    const FileDescriptor fd = open_blob(layout, blob);
    add_member(tar, std::string(blob_folder) + blob.digest.hex(), blob.size.bytes());
    Sha256 hash;
    std::vector<char> buffer(std::size_t{1} << 20U);
    for (std::uint64_t left = blob.size.bytes(); left > 0;) {
        const ssize_t got = ::read(fd.get(), buffer.data(), std::min<std::uint64_t>(left, buffer.size()));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            throw system_error(errno, fmt::format("reading the blob {}", blob.digest.to_string()));
        }
        if (got == 0) {
            refuse_blob(blob);
        }
        const auto length = static_cast<std::size_t>(got);
        hash.update({buffer.data(), length});
        tar.write(buffer.data(), length);
        left -= length;
        copied(length);
    }
    if (hash.finish() != blob.digest) {
        refuse_blob(blob);
    }
}

} // namespace

ByteSize BundleContents::size() const
{
    ByteSize total;
    for (const auto* list : {&documents, &layers}) {
        for (const Descriptor& blob : *list) {
            total = total + blob.size;
        }
    }
    return total;
}

BundleContents contents_of(const Layout& layout, const Digest& image)
{
    const std::string bytes = layout.read_verified(image);
    const AmiOciManifest oci = parse_ami_oci_manifest(bytes);
    BundleContents contents{
        .image = descriptor_of(image, oci_manifest_type, bytes), .attached = {}, .documents = {}, .layers = oci.layers};
    add_once(contents.documents, contents.image);
    for (const std::string_view type : attached_types) {
        for (const Digest& digest : layout.find_attached(image, type)) {
            const std::string manifest = layout.read_verified(digest);
            const AttachedOciManifest parts = parse_attached_oci_manifest(manifest, type);
            contents.attached.push_back({std::string(type), descriptor_of(digest, oci_manifest_type, manifest)});
            add_once(contents.documents, contents.attached.back().manifest);
            add_once(contents.documents, parts.config);
            add_once(contents.documents, parts.envelope);
        }
    }
    add_once(contents.documents, oci.config);
    return contents;
}

void write_bundle(const Layout& layout, const BundleContents& contents, const std::string& reference, int fd,
                  const Transferred& transferred, const std::stop_token& stop)
{
    TarFile tar(fd);
    add_text(tar, "oci-layout", std::string(oci_layout_file));
    add_text(tar, "index.json", bundle_index(contents, reference));
    const ByteSize total = contents.size();
    ByteSize done;
    for (const auto* list : {&contents.documents, &contents.layers}) {
        for (const Descriptor& blob : *list) {
            copy_blob(tar, layout, blob, [&](std::uint64_t length) {
                throw_if_interrupted(stop);
                done = done + ByteSize(length);
                transferred(done, total);
            });
        }
    }
    tar.close();
}

} // namespace kiln::bundle
