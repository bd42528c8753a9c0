// SPDX-License-Identifier: Apache-2.0
#include "builder/oci_rootfs.h"

#include "builder/flat_tree.h"
#include "core/archive_io.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/private_copy.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <set>
#include <vector>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr std::size_t most_layers = 500;
constexpr ByteSize largest_document = mebibytes(4);

[[noreturn]] void refuse(const std::string& why)
{
    throw Error(ErrorKind::untrusted, why);
}

struct Descriptor {
    std::string media_type;
    Digest digest;
    std::uint64_t size = 0;
};

Descriptor descriptor_of(const Json& json)
{
    constexpr std::string_view what = "a descriptor of the image";
    const auto digest = Digest::parse(string_member(json, "digest", what));
    const std::int64_t size = integer_member(json, "size", what);
    if (!digest || size < 0) {
        refuse("a descriptor of the image has no SHA-256, or a negative size");
    }
    return {string_member(json, "mediaType", what), *digest, static_cast<std::uint64_t>(size)};
}

class Layout
{
public:
    // Copies go to `work`.
    Layout(const fs::path& folder, fs::path work, const std::stop_token& stop)
        : blobs_(folder / "blobs/sha256"), work_(std::move(work)), stop_(stop)
    {
    }

    // A private copy.
    [[nodiscard]] fs::path blob(const Digest& digest, std::optional<std::uint64_t> size) const
    {
        fs::path copy = work_ / digest.hex();
        if (!fs::exists(copy)) {
            make_private_copy(blobs_ / digest.hex(), copy, digest, stop_);
        }
        if (size && fs::file_size(copy) != *size) {
            refuse(fmt::format("the blob {} has {} bytes, and its descriptor says {}", digest.to_string(),
                               fs::file_size(copy), *size));
        }
        return copy;
    }

    [[nodiscard]] Json document(const Digest& digest, std::optional<std::uint64_t> size) const
    {
        return parse_json(read_file(blob(digest, size), largest_document), "the image's " + digest.to_string());
    }

private:
    fs::path blobs_;
    fs::path work_;
    const std::stop_token& stop_;
};

const Json& array_member(const Json& object, std::string_view key, std::string_view what)
{
    const Json& value = member(object, key, what);
    if (!value.is_array()) {
        refuse(fmt::format("{} has no array \"{}\"", what, key));
    }
    return value;
}

bool is_our_platform(const Json& object, std::string_view what)
{
    return string_member(object, "os", what) == "linux" && string_member(object, "architecture", what) == "amd64";
}

// What is to be taken of an index.
Descriptor choose(const Json& index)
{
    for (const Json& entry : array_member(index, "manifests", "the image's index")) {
        if (entry.is_object() && entry.contains("platform") && is_our_platform(entry.at("platform"), "a platform")) {
            return descriptor_of(entry);
        }
    }
    throw Error(ErrorKind::not_found, "the image's index has nothing for linux/amd64",
                "take an image for that platform");
}

Json manifest_of(const Layout& layout, const Digest& image)
{
    Json document = layout.document(image, std::nullopt);
    if (document.is_object() && document.contains("manifests") && !document.contains("layers")) {
        const Descriptor chosen = choose(document);
        document = layout.document(chosen.digest, chosen.size);
    }
    if (document.is_object() && document.contains("manifests")) {
        refuse("the image's manifest is an index too, or in another index");
    }
    const Descriptor config = descriptor_of(member(document, "config", "the image's manifest"));
    if (!is_our_platform(layout.document(config.digest, config.size), "the image's configuration")) {
        throw Error(ErrorKind::not_found, "the image is not for linux/amd64", "take an image for that platform");
    }
    return document;
}

// Each one from below: a private copy.
std::vector<fs::path> layers_of(const Layout& layout, const Json& manifest)
{
    constexpr std::array<std::string_view, 4> known{
        "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.docker.image.rootfs.diff.tar.gzip"};
    const Json& listed = array_member(manifest, "layers", "the image's manifest");
    if (listed.empty() || listed.size() > most_layers) {
        refuse(fmt::format("the image has {} layers, not 1 to {}", listed.size(), most_layers));
    }
    std::vector<fs::path> layers;
    for (const Json& entry : listed) {
        const Descriptor descriptor = descriptor_of(entry);
        if (std::ranges::find(known, descriptor.media_type) == known.end()) {
            refuse(fmt::format("a layer is \"{}\", which Kiln does not know", printable(descriptor.media_type, false)));
        }
        layers.push_back(layout.blob(descriptor.digest, descriptor.size));
    }
    return layers;
}

// Reads each layer twice: what is left of it is known only when all were seen.
class Flattening
{
public:
    Flattening(std::vector<fs::path> layers, const std::stop_token& stop) : layers_(std::move(layers)), stop_(stop) {}

    void write(int out)
    {
        SafeTarOptions options{.whole_system = true};
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            in_layer(i, [&](int in) { survey(in, options); });
        }
        TarFile tar(out);
        for (const Member& each : tree_.folders_and_links()) {
            tar.add(each);
        }
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            in_layer(i, [&](int in) { copy_files(in, i, tar); });
        }
        tar.close();
    }

private:
    template <typename Function> void in_layer(std::size_t index, const Function& use)
    {
        const FileDescriptor in(::open(layers_[index].c_str(), O_RDONLY | O_CLOEXEC));
        if (!in) {
            throw system_error(errno, "opening a layer");
        }
        try {
            use(in.get());
        } catch (Error& error) {
            error.while_doing(fmt::format("layer {} of the image", index + 1));
            throw;
        }
    }

    // The limits are the whole image's.
    void survey(int in, SafeTarOptions& options)
    {
        CheckedArchive archive(in, options);
        std::vector<Member> members;
        while (auto each = archive.next()) {
            throw_if_interrupted(stop_);
            members.push_back(std::move(*each));
        }
        options.largest_content = ByteSize(options.largest_content.bytes() - archive.content().bytes());
        options.most_members -= members.size();
        tree_.add_layer(members);
    }

    void copy_files(int in, std::size_t index, TarFile& tar)
    {
        const auto files = tree_.files_of(index);
        CheckedArchive archive(in, {.whole_system = true});
        for (std::size_t place = 0; auto each = archive.next(); ++place) {
            throw_if_interrupted(stop_);
            const auto names = files.find(place);
            if (names == files.end()) {
                continue;
            }
            each->name = names->second.front();
            tar.add(*each);
            archive.copy_content(tar);
            each->kind = MemberKind::hard_link;
            each->target = each->name;
            for (std::size_t i = 1; i < names->second.size(); ++i) {
                each->name = names->second[i];
                tar.add(*each);
            }
        }
    }

    std::vector<fs::path> layers_;
    const std::stop_token& stop_;
    FlatTree tree_;
};

} // namespace

void write_oci_tar(const fs::path& layout, const Digest& image, const fs::path& tar, const std::stop_token& stop)
{
    const WorkFolder work(tar.parent_path(), "oci");
    FileDescriptor out(::open(tar.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out) {
        throw system_error(errno, fmt::format("creating {}", tar.native()));
    }
    try {
        const Layout blobs(layout, work.path(), stop);
        Flattening(layers_of(blobs, manifest_of(blobs, image)), stop).write(out.get());
        out.close();
    } catch (Error& error) {
        std::error_code ignored;
        fs::remove(tar, ignored);
        error.while_doing(fmt::format("the image in {} can't be used", printable(layout.native(), false)));
        throw;
    }
}

} // namespace kiln::builder
