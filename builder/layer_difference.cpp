// SPDX-License-Identifier: Apache-2.0
#include "builder/layer_difference.h"

#include "core/interrupt.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <thread>

namespace kiln::builder
{
namespace
{

constexpr std::uint64_t cluster = std::uint64_t{64} << 10U;
constexpr std::uint64_t piece = std::uint64_t{2} << 20U; // several clusters, so that QEMU compresses them in parallel

bool is_zero(std::span<const std::byte> bytes)
{
    return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

enum class Kind { same, zero, data };

Kind kind_of(std::span<const std::byte> now, std::span<const std::byte> before)
{
    if (std::memcmp(now.data(), before.data(), now.size()) == 0) {
        return Kind::same;
    }
    return is_zero(now) ? Kind::zero : Kind::data;
}

// Writes the runs of clusters that differ. Returns their bytes.
std::uint64_t write_runs(NbdDisk& layer, std::uint64_t offset, std::span<const std::byte> now,
                         std::span<const std::byte> before)
{
    std::uint64_t written = 0;
    for (std::size_t begin = 0; begin < now.size();) {
        const auto length_at = [&](std::size_t at) { return std::min<std::size_t>(cluster, now.size() - at); };
        const auto kind_at = [&](std::size_t at) {
            return kind_of(now.subspan(at, length_at(at)), before.subspan(at, length_at(at)));
        };
        const Kind kind = kind_at(begin);
        std::size_t end = begin + length_at(begin);
        while (end < now.size() && kind_at(end) == kind) {
            end += length_at(end);
        }
        if (kind == Kind::data) {
            layer.write(offset + begin, now.subspan(begin, end - begin));
        } else if (kind == Kind::zero) {
            layer.write_zeroes(offset + begin, end - begin);
        }
        written += kind == Kind::same ? 0 : end - begin;
        begin = end;
    }
    return written;
}

// A piece of both, which is read while the one before is compared and written.
class PieceReader
{
public:
    PieceReader(NbdDisk& disk, NbdDisk& base) : disk_(disk), base_(base), now_(piece), before_(piece) {}

    void begin(const NbdDisk::Extent& extent)
    {
        length_ = extent.length;
        disk_.begin_read(extent.offset, std::span(now_).first(length_));
        // A smaller base ends in zeroes.
        const std::uint64_t there =
            extent.offset < base_.size() ? std::min<std::uint64_t>(length_, base_.size() - extent.offset) : 0;
        std::fill(before_.begin() + static_cast<std::ptrdiff_t>(there), before_.end(), std::byte{0});
        if (there > 0) {
            base_.begin_read(extent.offset, std::span(before_).first(there));
        }
    }

    void finish()
    {
        disk_.finish_read();
        base_.finish_read();
    }

    [[nodiscard]] std::span<const std::byte> now() const { return std::span(now_).first(length_); }
    [[nodiscard]] std::span<const std::byte> before() const { return std::span(before_).first(length_); }

private:
    NbdDisk& disk_;
    NbdDisk& base_;
    std::vector<std::byte> now_;
    std::vector<std::byte> before_;
    std::uint64_t length_ = 0;
};

// Sleeps until `bytes` may have been read since `start`.
void keep_pace(std::optional<ByteSize> rate, std::uint64_t bytes, std::chrono::steady_clock::time_point start)
{
    if (rate && rate->bytes() > 0) {
        const std::chrono::duration<double> due(static_cast<double>(bytes) / static_cast<double>(rate->bytes()));
        std::this_thread::sleep_until(start + std::chrono::duration_cast<std::chrono::nanoseconds>(due));
    }
}

} // namespace

std::vector<NbdDisk::Extent> joined_extents(std::vector<NbdDisk::Extent> extents, std::uint64_t size,
                                            std::uint64_t longest)
{
    std::ranges::sort(extents, {}, &NbdDisk::Extent::offset);
    std::vector<NbdDisk::Extent> joined;
    for (const NbdDisk::Extent& extent : extents) {
        const std::uint64_t begin = extent.offset / cluster * cluster;
        const std::uint64_t end = std::min(size, (extent.offset + extent.length + cluster - 1) / cluster * cluster);
        if (!joined.empty() && begin <= joined.back().offset + joined.back().length) {
            NbdDisk::Extent& last = joined.back();
            last.length = std::max(last.offset + last.length, end) - last.offset;
        } else if (begin < end) {
            joined.push_back({begin, end - begin, 0});
        }
    }
    std::vector<NbdDisk::Extent> pieces;
    for (const NbdDisk::Extent& extent : joined) {
        for (std::uint64_t done = 0; done < extent.length; done += longest) {
            pieces.push_back({extent.offset + done, std::min(longest, extent.length - done), 0});
        }
    }
    return pieces;
}

std::uint64_t write_difference(NbdDisk& disk, NbdDisk& base, std::vector<NbdDisk::Extent> extents, NbdDisk& layer,
                               const DifferenceOptions& options, const std::stop_token& stop)
{
    const std::vector<NbdDisk::Extent> pieces = joined_extents(std::move(extents), disk.size(), piece);
    std::array<PieceReader, 2> readers{PieceReader(disk, base), PieceReader(disk, base)};
    const auto start = std::chrono::steady_clock::now();
    std::uint64_t read = 0;
    std::uint64_t written = 0;
    if (!pieces.empty()) {
        readers[0].begin(pieces[0]);
    }
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        throw_if_interrupted(stop);
        PieceReader& reader = readers.at(i % 2);
        reader.finish();
        read += pieces[i].length;
        keep_pace(options.rate, read, start);
        if (i + 1 < pieces.size()) {
            readers.at((i + 1) % 2).begin(pieces[i + 1]);
        }
        written += write_runs(layer, pieces[i].offset, reader.now(), reader.before());
        if (options.progress) {
            options.progress(static_cast<double>(i + 1) / static_cast<double>(pieces.size()));
        }
    }
    layer.flush();
    return written;
}

} // namespace kiln::builder
