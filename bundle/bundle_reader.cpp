// SPDX-License-Identifier: Apache-2.0
// Nothing of a member is taken on trust: its name only says which of the blobs that were named before it claims to be,
// its size has to be the one that was given there, and no byte past that size is read.
#include "bundle/bundle_file.h"
#include "bundle/bundle_index.h"
#include "bundle/document_set.h"
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
constexpr std::uint64_t most_members = 26UL * 128UL + 4UL * most_attached;
constexpr ByteSize largest_bundle(std::uint64_t{1} << 62U); // each member has a limit of its own

[[noreturn]] void refuse_member(const Member& member, std::string_view why)
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
        refuse_member(member, "it is not named blobs/sha256/ and a digest");
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

    void read_document(DocumentSet& documents);
    void drain() const;

    int fd;
    CheckedArchive archive;
    std::map<std::string, Descriptor> layers; // by hex digits
};

std::optional<Member> BundleReader::State::next()
{
    auto member = archive.next();
    if (member && member->kind != MemberKind::file) {
        refuse_member(*member, "it is not a regular file");
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
        refuse_member(member, fmt::format("{} should be here", name));
    }
    if (ByteSize(member.size) > limit) {
        refuse_member(member, fmt::format("it is larger than {}", to_string(limit)));
    }
    std::string bytes;
    archive.copy_content([&](std::string_view part) { bytes += part; });
    return bytes;
}

std::string BundleReader::State::read_blob(const Member& member, const Descriptor& wanted)
{
    if (member.size != wanted.size.bytes()) {
        refuse_member(member, fmt::format("it has {} bytes instead of {}", member.size, wanted.size.bytes()));
    }
    std::string bytes;
    archive.copy_content([&](std::string_view part) { bytes += part; });
    if (digest_of(bytes) != wanted.digest) {
        refuse_member(member, "its content has another digest");
    }
    return bytes;
}

void BundleReader::State::read_document(DocumentSet& documents)
{
    const Member member = require_next(fmt::format("the blob {}", documents.next()->descriptor.digest.to_string()));
    const Digest digest = digest_in_name(member);
    const auto wanted = documents.find(digest);
    if (!wanted) {
        refuse_member(member, documents.is_layer(digest) ? "this layer comes before the documents that sign it"
                                                         : "nothing before it in the bundle names this blob");
    }
    documents.take(digest, read_blob(member, wanted->descriptor));
}

// A writer that pads its tar to whole records has them read, or it would die of SIGPIPE.
void BundleReader::State::drain() const
{
    constexpr std::size_t most = std::size_t{1} << 20U; // by bytes: a pipe gives as little at a time as was written
    std::vector<char> buffer(std::size_t{1} << 16U);
    for (std::size_t drained = 0; drained < most;) {
        const ssize_t size = ::read(fd, buffer.data(), buffer.size());
        if (size <= 0) {
            return;
        }
        drained += static_cast<std::size_t>(size);
    }
}

BundleReader::BundleReader(int fd) : state_(std::make_unique<State>(fd)) {}

BundleReader::~BundleReader() = default;

BundleDocuments BundleReader::read_documents()
{
    State& state = *state_;
    require_bundle_layout(state.read_small("oci-layout", largest_layout_file));
    BundleIndex index = parse_bundle_index(state.read_small("index.json", largest_index));
    DocumentSet documents(std::move(index.image), std::move(index.attached));
    while (documents.next()) {
        state.read_document(documents);
    }
    BundleDocuments read = documents.finish();
    state.layers = layers_of(read);
    return read;
}

void BundleReader::read_layers(const fs::path& folder, const Transferred& transferred, const std::stop_token& stop)
{
    std::map<std::string, Descriptor> expected = state_->layers;
    ByteSize total;
    for (const auto& [hex, layer] : expected) {
        total = total + layer.size;
    }
    ByteSize done;
    while (const auto member = state_->next()) {
        const Digest digest = digest_in_name(*member);
        const auto found = expected.find(digest.hex());
        if (found == expected.end()) {
            refuse_member(*member, "nothing before it in the bundle names this blob");
        }
        if (member->size != found->second.size.bytes()) {
            refuse_member(*member,
                          fmt::format("it has {} bytes instead of {}", member->size, found->second.size.bytes()));
        }
        LayerFile file(folder, found->second);
        state_->archive.copy_content([&](std::string_view bytes) {
            throw_if_interrupted(stop);
            file.write(bytes);
            done = done + ByteSize(bytes.size());
            transferred(done, total);
        });
        if (file.finish() != digest) {
            refuse_member(*member, "its content has another digest");
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
