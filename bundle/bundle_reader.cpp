// SPDX-License-Identifier: Apache-2.0
// Nothing of a member is taken on trust: its name only says which of the blobs that were named before it claims to be,
// its size has to be the one that was given there, and no byte past that size is read.
#include "bundle/bundle_file.h"
#include "bundle/bundle_index.h"
#include "core/archive_io.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <map>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::bundle
{
namespace fs = std::filesystem;
namespace
{

constexpr ByteSize largest_layout_file(4096);
constexpr ByteSize largest_index = mebibytes(1);
constexpr ByteSize largest_document = mebibytes(16);
constexpr ByteSize most_in_memory = mebibytes(128);
constexpr std::uint64_t most_members = 26UL * 128UL + 4UL * most_attached;
constexpr ByteSize largest_bundle(std::uint64_t{1} << 62U); // each member has a limit of its own

enum class Role { image, attached, configuration, envelope };

struct Expected {
    Descriptor descriptor;
    Role role = Role::envelope;
    std::string artifact_type; // of what is attached
};

[[noreturn]] void refuse(const Member& member, std::string_view why)
{
    throw Error(ErrorKind::untrusted, fmt::format("its member \"{}\": {}", printable(member.name, false), why),
                "get the bundle again from whom you trust; `kiln image export` writes one");
}

Digest digest_in_name(const Member& member)
{
    const std::string_view name = member.name;
    auto digest = name.starts_with(blob_folder)
                      ? Digest::parse("sha256:" + std::string(name.substr(blob_folder.size())))
                      : std::nullopt;
    if (!digest) {
        refuse(member, "it is not named blobs/sha256/ and a digest");
    }
    return *std::move(digest);
}

[[noreturn]] void ends_before(std::string_view what)
{
    throw Error(ErrorKind::untrusted, fmt::format("it ends before {}", what), "get the whole bundle again");
}

SafeTarOptions options()
{
    return {.largest_content = largest_bundle, .most_members = most_members, .plain_tar = true};
}

class LayerFile
{
public:
    LayerFile(const fs::path& folder, const Descriptor& layer)
        : path_(folder / layer.digest.hex()),
          fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600))
    {
        if (!fd_) {
            throw system_error(errno, fmt::format("creating {}", path_.native()));
        }
    }
    void write(std::string_view bytes)
    {
        hash_.update(bytes);
        while (!bytes.empty()) {
            const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
            if (written < 0 && errno != EINTR) {
                throw system_error(errno, fmt::format("writing {}", path_.native()));
            }
            bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
        }
    }
    [[nodiscard]] Digest finish()
    {
        if (::fchmod(fd_.get(), 0444) != 0 || ::fsync(fd_.get()) != 0) {
            throw system_error(errno, fmt::format("writing {}", path_.native()));
        }
        fd_.close();
        return hash_.finish();
    }

private:
    fs::path path_;
    FileDescriptor fd_;
    Sha256 hash_;
};

} // namespace

struct BundleReader::State {
    explicit State(int from) : fd(from), archive(from, options()) {}

    [[nodiscard]] std::optional<Member> next();
    [[nodiscard]] Member require_next(std::string_view what);
    [[nodiscard]] std::string read_small(const std::string& name, ByteSize limit);
    [[nodiscard]] std::string read_blob(const Member& member, const Descriptor& wanted);

    void expect(const Descriptor& descriptor, Role role, const std::string& artifact_type = {});
    void read_document(BundleDocuments& documents);
    void take_document(const Expected& expected, const std::string& bytes, BundleDocuments& documents);
    void take_image(const Expected& expected, const std::string& bytes, BundleDocuments& documents);
    void take_attached(const Expected& expected, const std::string& bytes, const BundleDocuments& documents);
    [[nodiscard]] std::map<std::string, Descriptor> expected_layers() const;
    void drain() const;

    int fd;
    CheckedArchive archive;
    std::map<std::string, Expected> pending; // by hex digits: named, and not yet there
    std::map<std::string, ByteSize> named;   // all that was ever named
    ByteSize in_memory;
    std::vector<Descriptor> layers;
    std::optional<Json> configuration;
};

std::optional<Member> BundleReader::State::next()
{
    auto member = archive.next();
    if (member && member->kind != MemberKind::file) {
        refuse(*member, "it is not a regular file");
    }
    return member;
}

Member BundleReader::State::require_next(std::string_view what)
{
    auto member = next();
    if (!member) {
        ends_before(what);
    }
    return *std::move(member);
}

std::string BundleReader::State::read_small(const std::string& name, ByteSize limit)
{
    const Member member = require_next(name);
    if (member.name != name) {
        refuse(member, fmt::format("{} should be here", name));
    }
    if (ByteSize(member.size) > limit) {
        refuse(member, fmt::format("it is larger than {}", to_string(limit)));
    }
    std::string bytes;
    archive.copy_content([&](std::string_view part) { bytes += part; });
    return bytes;
}

std::string BundleReader::State::read_blob(const Member& member, const Descriptor& wanted)
{
    if (member.size != wanted.size.bytes()) {
        refuse(member, fmt::format("it has {} bytes instead of {}", member.size, wanted.size.bytes()));
    }
    std::string bytes;
    archive.copy_content([&](std::string_view part) { bytes += part; });
    if (digest_of(bytes) != wanted.digest) {
        refuse(member, "its content has another digest");
    }
    return bytes;
}

void BundleReader::State::expect(const Descriptor& descriptor, Role role, const std::string& artifact_type)
{
    const auto [place, added] = named.emplace(descriptor.digest.hex(), descriptor.size);
    if (!added) {
        // The empty blob, which every attached manifest names. Two manifests may not be one.
        if (place->second != descriptor.size || role != Role::envelope) {
            throw Error(ErrorKind::untrusted,
                        fmt::format("the blob {} is named twice, as different things", descriptor.digest.to_string()));
        }
        return;
    }
    if (descriptor.size > largest_document || descriptor.size > ByteSize(most_in_memory.bytes() - in_memory.bytes())) {
        throw Error(ErrorKind::untrusted, fmt::format("the document {} of {} makes the bundle's documents too large",
                                                      descriptor.digest.to_string(), to_string(descriptor.size)));
    }
    in_memory = in_memory + descriptor.size;
    pending.emplace(descriptor.digest.hex(), Expected{descriptor, role, artifact_type});
}

void BundleReader::State::take_image(const Expected& expected, const std::string& bytes, BundleDocuments& documents)
{
    documents.oci = parse_ami_oci_manifest(bytes);
    documents.image = expected.descriptor;
    expect(documents.oci.config, Role::configuration);
    layers = documents.oci.layers;
}

void BundleReader::State::take_attached(const Expected& expected, const std::string& bytes,
                                        const BundleDocuments& documents)
{
    const AttachedOciManifest parts = parse_attached_oci_manifest(bytes, expected.artifact_type);
    if (parts.subject.digest != documents.image.digest) {
        throw Error(ErrorKind::untrusted, fmt::format("the attached manifest {} is about another image",
                                                      expected.descriptor.digest.to_string()));
    }
    expect(parts.config, Role::envelope);
    expect(parts.envelope, Role::envelope);
}

void BundleReader::State::take_document(const Expected& expected, const std::string& bytes, BundleDocuments& documents)
{
    switch (expected.role) {
    case Role::image:
        return take_image(expected, bytes, documents);
    case Role::attached:
        return take_attached(expected, bytes, documents);
    case Role::configuration:
        configuration = parse_json(bytes, "manifest");
        return;
    case Role::envelope:
        return; // whoever verifies it parses it
    }
}

void BundleReader::State::read_document(BundleDocuments& documents)
{
    const Member member = require_next(fmt::format("the blob sha256:{}", pending.begin()->first));
    const Digest digest = digest_in_name(member);
    const auto found = pending.find(digest.hex());
    if (found == pending.end()) {
        const bool layer = std::ranges::find(layers, digest, &Descriptor::digest) != layers.end();
        refuse(member, layer ? "this layer comes before the documents that sign it"
                             : "nothing before it in the bundle names this blob");
    }
    const Expected expected = found->second;
    pending.erase(found);
    std::string bytes = read_blob(member, expected.descriptor);
    try {
        take_document(expected, bytes, documents);
    } catch (const Error& error) {
        throw Error(ErrorKind::untrusted, error.message(), error.hint());
    }
    documents.documents.push_back({expected.descriptor, std::move(bytes)});
}

std::map<std::string, Descriptor> BundleReader::State::expected_layers() const
{
    std::map<std::string, Descriptor> expected;
    for (const Descriptor& layer : layers) {
        if (named.contains(layer.digest.hex()) || !expected.emplace(layer.digest.hex(), layer).second) {
            throw Error(ErrorKind::untrusted, fmt::format("the layer {} is named twice", layer.digest.to_string()));
        }
    }
    return expected;
}

// A writer that pads its tar to whole records has them read, or it would die of SIGPIPE.
void BundleReader::State::drain() const
{
    std::vector<char> buffer(std::size_t{1} << 16U);
    for (int i = 0; i < 16 && ::read(fd, buffer.data(), buffer.size()) > 0; ++i) {
    }
}

BundleReader::BundleReader(int fd) : state_(std::make_unique<State>(fd)) {}

BundleReader::~BundleReader() = default;

BundleDocuments BundleReader::read_documents()
{
    State& state = *state_;
    require_bundle_layout(state.read_small("oci-layout", largest_layout_file));
    BundleIndex index = parse_bundle_index(state.read_small("index.json", largest_index));
    BundleDocuments documents{.image = index.image,
                              .oci = {.config = index.image, .layers = {}},
                              .manifest = {},
                              .attached = index.attached,
                              .documents = {}};
    state.expect(index.image, Role::image);
    for (const AttachedManifest& attached : index.attached) {
        state.expect(attached.manifest, Role::attached, attached.artifact_type);
    }
    while (!state.pending.empty()) {
        state.read_document(documents);
    }
    documents.manifest = manifest_from_json(state.configuration.value());
    state.configuration.reset();
    return documents;
}

void BundleReader::read_layers(const fs::path& folder, const Transferred& transferred, const std::stop_token& stop)
{
    std::map<std::string, Descriptor> expected = state_->expected_layers();
    ByteSize total;
    for (const auto& [hex, layer] : expected) {
        total = total + layer.size;
    }
    ByteSize done;
    while (const auto member = state_->next()) {
        const Digest digest = digest_in_name(*member);
        const auto found = expected.find(digest.hex());
        if (found == expected.end()) {
            refuse(*member, "nothing before it in the bundle names this blob");
        }
        if (member->size != found->second.size.bytes()) {
            refuse(*member, fmt::format("it has {} bytes instead of {}", member->size, found->second.size.bytes()));
        }
        LayerFile file(folder, found->second);
        state_->archive.copy_content([&](std::string_view bytes) {
            throw_if_interrupted(stop);
            file.write(bytes);
            done = done + ByteSize(bytes.size());
            transferred(done, total);
        });
        if (file.finish() != digest) {
            refuse(*member, "its content has another digest");
        }
        expected.erase(found);
    }
    if (!expected.empty()) {
        ends_before(fmt::format("the layer sha256:{}", expected.begin()->first));
    }
    state_->drain();
    sync_directory(folder);
}

} // namespace kiln::bundle
