// SPDX-License-Identifier: Apache-2.0
// An image from elsewhere goes to a private layout below the region, is verified there, and only then moved: blobs
// first, then the index, then event and row, as a publisher does it. The region is locked for the move alone.
#include "core/error.h"
#include "core/files.h"
#include "registry/bundle_transfer.h"
#include "registry/envelope.h"
#include "registry/examination.h"
#include "registry/image_source.h"
#include "registry/launch_statement.h"
#include "registry/lifecycle.h"
#include "registry/predicate_type.h"
#include "registry/region_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

class BundleSource : public ImageSource
{
public:
    explicit BundleSource(int fd) : reader_(fd) {}
    [[nodiscard]] bundle::BundleDocuments read_documents() override { return reader_.read_documents(); }
    void read_layers(const fs::path& folder, const Transfer& transfer) override
    {
        reader_.read_layers(folder, transfer.transferred, transfer.stop);
    }

private:
    bundle::BundleReader reader_;
};

bool lacks_blobs(const bundle::BundleDocuments& documents, const bundle::Layout& layout)
{
    const auto lacks = [&](const bundle::Descriptor& blob) {
        std::error_code missing;
        return fs::file_size(layout.blob_path(blob.digest), missing) != blob.size.bytes() || missing;
    };
    return std::ranges::any_of(documents.oci.layers, lacks) ||
           std::ranges::any_of(documents.documents, lacks, &bundle::Document::descriptor);
}

// The very same image, registered already, whose lost blobs the bundle brings back; nullopt when the name is free.
std::optional<Image> find_healed(const Region& region, const Image& image, const bundle::BundleDocuments& documents)
{
    auto taken = region.find(image.name, image.version, image.architecture);
    if (!taken || (taken->manifest == image.manifest && taken->state != ImageState::deregistered &&
                   lacks_blobs(documents, region.layout()))) {
        return taken;
    }
    const std::string title = fmt::format("{} {} ({})", image.name, image.version.to_string(), image.architecture);
    if (taken->manifest == image.manifest) {
        throw Error(
            ErrorKind::conflict,
            fmt::format("{} is already in region {} as {}: the very same image", title, region.name(), taken->id),
            fmt::format("there is nothing to do; `kiln image verify {}` checks what is there, and `kiln registry check "
                        "--repair` sets aside what is damaged, which an import then brings back",
                        taken->id));
    }
    throw Error(
        ErrorKind::conflict,
        fmt::format("region {} has another image of the name and version {}: {}", region.name(), title, taken->id),
        "a published image never changes; ask for a bundle of a higher version, or import into another region");
}

void store_documents(const bundle::BundleDocuments& documents, const bundle::Layout& layout)
{
    for (const bundle::Document& document : documents.documents) {
        static_cast<void>(layout.put(document.bytes, document.descriptor.media_type));
    }
}

void store_index(const bundle::BundleDocuments& documents, const std::string& reference, const bundle::Layout& layout)
{
    layout.add_to_index(documents.image, bundle::ami_artifact_type, {{bundle::reference_name_annotation, reference}});
    for (const bundle::AttachedManifest& attached : documents.attached) {
        layout.add_to_index(attached.manifest, attached.artifact_type,
                            {{bundle::subject_annotation, documents.image.digest.to_string()}});
    }
}

// A document that nobody trusted signed would only be refused later, when somebody asks for it.
void require_signed_attachments(const bundle::BundleDocuments& documents, const bundle::Layout& layout,
                                const signing::TrustStore& trust)
{
    for (const bundle::AttachedManifest& attached : documents.attached) {
        if (attached.artifact_type == bundle::signature_artifact_type) {
            continue;
        }
        std::vector<std::string> faults;
        const auto predicate =
            find_predicate(layout, documents.image.digest, attached.artifact_type,
                           predicate_type_of(attached.artifact_type), trust.keys_of(documents.manifest.owner), faults);
        if (!predicate || !faults.empty()) {
            throw Error(ErrorKind::untrusted,
                        fmt::format("the attachment of type {} was refused: {}", attached.artifact_type,
                                    faults.empty() ? "it is missing" : faults.front()),
                        "get the bundle again from whom you trust");
        }
    }
}

// Of its manifest, unless the owner said something newer. The image itself is verified as being the owner's elsewhere.
void take_launch_permission(Image& row, const std::vector<std::string>& statements, const signing::TrustStore& trust)
{
    if (statements.empty()) {
        return;
    }
    if (auto newest = newest_launch_statement(statements, row.manifest, trust.keys_of(row.owner))) {
        row.launch_public = newest->is_public;
        row.launch_accounts = std::move(newest->accounts);
    }
}

void move_blobs(const bundle::BundleDocuments& documents, const bundle::Layout& from, const bundle::Layout& to)
{
    const auto move = [&](const Digest& digest) { publish_file(from.blob_path(digest), to.blob_path(digest)); };
    for (const bundle::Descriptor& layer : documents.oci.layers) {
        move(layer.digest);
    }
    for (const bundle::Document& document : documents.documents) {
        move(document.descriptor.digest);
    }
}

} // namespace

Image Region::import_image(int fd, const signing::TrustStore& trust, const Signer& signer, const Transfer& transfer)
{
    BundleSource source(fd);
    return import_image(source, trust, signer, transfer);
}

Image Region::import_image(ImageSource& source, const signing::TrustStore& trust, const Signer& signer,
                           const Transfer& transfer)
{
    state_->events().catch_up(signing::no_keys); // a catalogue that was rolled back is told before the long work
    const bundle::BundleDocuments documents = source.read_documents();
    Image row = row_of(documents.manifest, documents.image.digest);
    static_cast<void>(find_healed(*this, row, documents));
    take_launch_permission(row, source.launch_statements(), trust);

    const fs::path imports = state_->folder / "imports";
    WorkFolder::sweep_abandoned(imports);
    const WorkFolder work(imports, "import-");
    const bundle::Layout incoming(work.path() / "layout", true);
    store_documents(documents, incoming);
    store_index(documents, reference_name(row), incoming);
    Examination(*this, incoming, row, trust, signer.account).run_documents();
    require_signed_attachments(documents, incoming, trust);

    require_free_space(imports, source.needed_space(row.stored_size), "the image");
    const fs::path blobs = incoming.blob_path(documents.image.digest).parent_path();
    source.read_layers(blobs, transfer);
    Examination(*this, incoming, row, trust, signer.account).run();

    const FileLock lock(lock_file(state_->folder), FileLock::Wait::block);
    const auto healed = find_healed(*this, row, documents); // somebody may have been faster
    move_blobs(documents, incoming, state_->layout);
    store_index(documents, reference_name(row), state_->layout);
    if (healed) {
        note({.action = "restore", .account = signer.account, .image = healed->id});
    }
    Image image = healed ? *healed : state_->register_image(row, action::import_bundle, publish_arguments(row), signer);
    source.finish();
    return image;
}

} // namespace kiln::registry
