// SPDX-License-Identifier: Apache-2.0
// Where an image comes from: a bundle, or a remote registry. Region::import_image decides what is taken of it.
#pragma once

#include "bundle/document_set.h"
#include "registry/bundle_transfer.h"

#include <filesystem>
#include <string>
#include <vector>

namespace kiln::registry
{

class ImageSource
{
public:
    ImageSource() = default;
    ImageSource(const ImageSource&) = delete;
    ImageSource& operator=(const ImageSource&) = delete;
    virtual ~ImageSource() = default;

    // First, and once: everything but the layers, unverified. Throws Error{untrusted} and what its way of transport
    // has.
    [[nodiscard]] virtual bundle::BundleDocuments read_documents() = 0;
    // DSSE envelopes about who may launch it (launch_statement.h), unverified.
    [[nodiscard]] virtual std::vector<std::string> launch_statements() { return {}; }
    // How much of that many bytes of layers will take space that is free now.
    [[nodiscard]] virtual ByteSize needed_space(ByteSize layers) const { return layers; }
    // After the documents were found to be signed: each layer becomes a read-only file FOLDER/HEX with that digest.
    virtual void read_layers(const std::filesystem::path& folder, const Transfer& transfer) = 0;
    // The image is recorded: what was kept for another try can go.
    virtual void finish() {}
};

} // namespace kiln::registry
