// SPDX-License-Identifier: Apache-2.0
// The root file system in a container image: an OCI image layout in a folder (image-layout.md of the specification),
// also with Docker's media types.
#pragma once

#include "core/digest.h"

#include <filesystem>
#include <stop_token>

namespace kiln::builder
{

// Writes the image's layers, one over the other, to the new file `tar`, which is as safe as write_safe_tar() makes
// one with `whole_system`. `image` is the digest of its manifest, or of an index, of which it takes linux/amd64. Each
// blob is read from a private copy beside `tar` with the size and digest that its descriptor states. Throws
// Error{untrusted} for blobs, layers and members that are not what they should be or are refused; Error{not_found}
// for a blob or platform that is missing; Error{io, no_space, interrupted}. Removes `tar` when it throws.
void write_oci_tar(const std::filesystem::path& layout, const Digest& image, const std::filesystem::path& tar,
                   const std::stop_token& stop);

} // namespace kiln::builder
