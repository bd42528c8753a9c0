// SPDX-License-Identifier: Apache-2.0
// The layers of earlier builds, by the id that their inputs give them (see plan.h). A layer is an
// overlay over one very layer below, bit for bit: each one carries a random `instance`, and is only
// taken over the `below` that it was written on, since the same inputs can yield other bits.
#pragma once

#include "core/byte_size.h"
#include "core/digest.h"
#include "core/file_descriptor.h"
#include "core/json.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kiln::builder
{

struct LayerRecord {
    Digest id;
    std::string instance; // these very bits
    std::string below;    // the instance below, or what the caller calls the ground that it stands on
    std::string title;
    Json inputs;                       // what the id was made of, but the layer below
    Json facts;                        // what later layers and the manifest need to know of it
    std::chrono::milliseconds took{0}; // to make it
};

// What would do at one place of a chain.
struct WantedLayer {
    std::vector<Digest> ids{};                      // one of them, the first one first
    std::function<bool(const LayerRecord&)> fits{}; // and this says so of it, where it is set
};

// A layer in use: it is not removed as long as this lives.
class CachedLayer
{
public:
    [[nodiscard]] const LayerRecord& record() const noexcept { return record_; }
    // The overlay (qcow2 without backing-file string) of a disk, 0 for the first one.
    [[nodiscard]] std::filesystem::path disk(std::size_t index) const;
    // Whether it outlives a loss of power.
    [[nodiscard]] bool durable() const noexcept { return durable_; }

private:
    friend class LayerCache;
    CachedLayer(LayerRecord record, std::filesystem::path folder, FileDescriptor in_use, bool durable);
    LayerRecord record_;
    std::filesystem::path folder_;
    FileDescriptor in_use_;
    bool durable_;
};

// Safe for many processes at once.
class LayerCache
{
public:
    // `folder` is made when it is missing; its parent's file system holds the work folders too.
    explicit LayerCache(std::filesystem::path folder);

    // The longest run of layers, lowest first, that are wanted, over `below`; where an id has several that fit,
    // the newest. Marks them as used now.
    [[nodiscard]] std::vector<CachedLayer> find_chain(const std::vector<WantedLayer>& wanted, const std::string& below);

    // The records of all layers, the last used first.
    [[nodiscard]] std::vector<LayerRecord> records() const;

    // The right to make the layer `id`, as long as the descriptor is open; nullopt when another process has it.
    [[nodiscard]] std::optional<FileDescriptor> try_lock_making(const Digest& id);

    // Takes the disks' files in: the layer is there as a whole or not at all, however this process ends; when the
    // machine goes down before make_durable(), it is not. From now on it is found before older ones of the
    // same id. Gives it its `instance`. The files stay where they are, too, for the process that has them open;
    // nobody may write to them any more.
    [[nodiscard]] CachedLayer store(LayerRecord record, const std::vector<std::filesystem::path>& disks);

    // Waits until the layers are on the disk. Once for a whole build: while the kernel still writes back what the
    // build has unpacked, each wait takes seconds.
    void make_durable(std::vector<CachedLayer>& layers);

    // Removes the layers that were not used for longest, until at most `most` is occupied. A layer in use stays.
    void evict(ByteSize most);

    // What all layers occupy, and how many there are.
    struct Usage {
        ByteSize size;
        std::size_t layers = 0;
    };
    [[nodiscard]] Usage usage() const;

private:
    std::filesystem::path folder_;
};

// $KILN_CACHE_SIZE ("20GiB"), else 10 GiB. Throws Error{usage}.
[[nodiscard]] ByteSize cache_limit();

} // namespace kiln::builder
