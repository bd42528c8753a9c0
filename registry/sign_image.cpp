// SPDX-License-Identifier: Apache-2.0
// Region::sign: what an image is stays as it was published; what is attached to it may grow.
#include "core/files.h"
#include "registry/region_state.h"

namespace kiln::registry
{

void Region::sign(const Image& image, const signing::SecretKey& key)
{
    const bundle::Manifest manifest = load_manifest(image);
    const FileLock lock(lock_file(state_->folder), FileLock::Wait::block);
    const bundle::Layout& layout = state_->layout;
    const bundle::Descriptor subject{std::string(bundle::oci_manifest_type), image.manifest,
                                     ByteSize(layout.read_verified(image.manifest).size())};
    layout.add_to_index(store_signature(manifest, subject, key, layout), bundle::signature_artifact_type,
                        {{bundle::subject_annotation, image.manifest.to_string()}});
}

} // namespace kiln::registry
