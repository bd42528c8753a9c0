// SPDX-License-Identifier: Apache-2.0
#include "registry/bundle_transfer.h"

#include <fmt/format.h>

namespace kiln::registry
{

std::string reference_name(const Image& image)
{
    return fmt::format("{}-{}-{}", image.name, image.version.to_string(), image.architecture);
}

ByteSize exported_size(const Region& region, const VerifiedImage& image)
{
    return bundle::contents_of(region.layout(), image.image().manifest).size();
}

void export_image(const Region& region, const VerifiedImage& image, int fd, const Transfer& transfer)
{
    const bundle::BundleContents contents = bundle::contents_of(region.layout(), image.image().manifest);
    bundle::write_bundle(region.layout(), contents, reference_name(image.image()), fd, transfer.transferred,
                         transfer.stop);
}

} // namespace kiln::registry
