// SPDX-License-Identifier: Apache-2.0
// Writes a raw disk as a layer to be published, beside other work: it only reads the disk.
#pragma once

#include "core/digest.h"

#include <filesystem>
#include <functional>
#include <future>
#include <stop_token>

namespace kiln::builder
{

class Compression
{
public:
    // Starts it.
    Compression(std::filesystem::path raw, std::filesystem::path layer, const std::stop_token& stop);
    ~Compression(); // ends it
    Compression(const Compression&) = delete;
    Compression& operator=(const Compression&) = delete;

    // Waits for it; the layer's digest. Throws what layer_from_raw throws.
    [[nodiscard]] Digest finish();

private:
    std::stop_source ended_;
    std::stop_callback<std::function<void()>> on_stop_;
    std::future<Digest> result_;
};

} // namespace kiln::builder
