// SPDX-License-Identifier: Apache-2.0
// A blob that is being fetched: a file FOLDER/HEX, which stays when the fetching ends early, and is gone on with later.
// What it holds is hashed from zero when it is opened, so nothing of an earlier time is believed. One process has it at
// a time.
#pragma once

#include "bundle/oci.h"
#include "core/digest.h"
#include "core/file_descriptor.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string_view>
#include <vector>

namespace kiln::registry::remote
{

class PartialBlob
{
public:
    // Waits for another process that has it. Throws Error{io, no_space, interrupted}.
    PartialBlob(const std::filesystem::path& folder, bundle::Descriptor blob, std::stop_token stop);

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] bool is_whole() const noexcept { return size_ == blob_.size.bytes(); }
    // Adds a piece that belongs at `offset`: at the end, or at 0 to begin anew. Returns false, and takes nothing, when
    // the blob would get larger than it should be.
    [[nodiscard]] bool write(std::uint64_t offset, std::string_view piece);
    void restart();
    void remove();
    // When it is whole: makes it durable and read-only, and gives it the name `to` as well. It stays here, for the case
    // that the rest of the image does not come. Returns false, and removes it, when it is another blob.
    [[nodiscard]] bool finish(const std::filesystem::path& to);

    // Removes it, when it was finished: the image is in the region.
    static void drop(const std::filesystem::path& folder, const Digest& blob);
    // Those that nobody went on with for a week, sorted; what removes them.
    [[nodiscard]] static std::vector<std::filesystem::path> abandoned(const std::filesystem::path& folder);
    static void sweep(const std::filesystem::path& folder);

private:
    void open();
    void hash_what_is_there();

    std::filesystem::path path_;
    bundle::Descriptor blob_;
    std::stop_token stop_;
    FileDescriptor fd_;     // locked
    FileDescriptor writer_; // none of one that was finished: its bytes may be a blob's of the region
    std::unique_ptr<Sha256> hash_;
    std::uint64_t size_ = 0;
};

} // namespace kiln::registry::remote
