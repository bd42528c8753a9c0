// SPDX-License-Identifier: Apache-2.0
// Images as single files: out of a region, and what Region::import_image() is told besides. See bundle/bundle_file.h
// for the format.
#pragma once

#include "bundle/bundle_file.h"
#include "registry/region.h"
#include "registry/verified_image.h"
#include "signing/trust_store.h"

#include <stop_token>
#include <string>

namespace kiln::registry
{

struct Transfer {
    bundle::Transferred transferred; // called many times a second
    std::stop_token stop{};
};

// "NAME-VERSION-ARCHITECTURE": its name in an index, and of its file without ".ami".
[[nodiscard]] std::string reference_name(const Image& image);

// Writes the image and what is attached to it to a descriptor, which stays the caller's. Throws Error{untrusted, io,
// no_space, interrupted}.
void export_image(const Region& region, const VerifiedImage& image, int fd, const Transfer& transfer);
// How many bytes of blobs that will be.
[[nodiscard]] ByteSize exported_size(const Region& region, const VerifiedImage& image);

} // namespace kiln::registry
