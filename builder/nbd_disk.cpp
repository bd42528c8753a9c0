// SPDX-License-Identifier: Apache-2.0
#include "builder/nbd_disk.h"

#include "core/error.h"

#include <fmt/format.h>
#include <libnbd.h>

#include <algorithm>
#include <cerrno>

namespace kiln::builder
{
namespace
{

constexpr const char* depth_context = "qemu:allocation-depth";
constexpr std::uint64_t longest_status = std::uint64_t{1} << 30U;

struct CloseNbd {
    void operator()(nbd_handle* handle) const { nbd_close(handle); }
};

struct Found {
    std::vector<NbdDisk::Extent>* extents;
    std::uint64_t offset;
};

// libnbd's callback: entries are pairs of a length and the context's value.
int take_extents(void* data, const char* context, std::uint64_t offset, std::uint32_t* entries, std::size_t count,
                 int* /*error*/)
{
    auto* found = static_cast<Found*>(data);
    if (std::string(context) != depth_context) {
        return 0;
    }
    found->offset = offset;
    for (std::size_t i = 0; i + 1 < count; i += 2) {
        found->extents->push_back({found->offset, entries[i], entries[i + 1]});
        found->offset += entries[i];
    }
    return 0;
}

} // namespace

struct NbdDisk::Handle {
    std::unique_ptr<nbd_handle, CloseNbd> nbd{nbd_create()};
    const std::string* name = nullptr;

    void check(std::int64_t result, const char* doing) const
    {
        if (result == -1) {
            const bool full = nbd_get_errno() == ENOSPC;
            throw Error(full ? ErrorKind::no_space : ErrorKind::io,
                        fmt::format("{} the disk {}: {}", doing, *name, nbd_get_error()),
                        full ? "free some space where Kiln's home is, then try again" : "");
        }
    }
};

NbdDisk::NbdDisk(const std::filesystem::path& socket, const std::string& export_name)
    : handle_(std::make_unique<Handle>()), name_(export_name)
{
    handle_->name = &name_;
    nbd_handle* nbd = handle_->nbd.get();
    handle_->check(nbd != nullptr ? 0 : -1, "opening");
    handle_->check(nbd_set_export_name(nbd, export_name.c_str()), "opening");
    handle_->check(nbd_add_meta_context(nbd, depth_context), "opening");
    handle_->check(nbd_connect_unix(nbd, socket.c_str()), "opening");
    const std::int64_t size = nbd_get_size(nbd);
    handle_->check(size, "opening");
    size_ = static_cast<std::uint64_t>(size);
}

NbdDisk::~NbdDisk() = default;

std::vector<NbdDisk::Extent> NbdDisk::allocated(std::uint32_t depth)
{
    std::vector<Extent> all;
    for (std::uint64_t offset = 0; offset < size_;) {
        std::vector<Extent> some;
        Found found{.extents = &some, .offset = offset};
        const nbd_extent_callback callback{.callback = take_extents, .user_data = &found, .free = nullptr};
        handle_->check(
            nbd_block_status(handle_->nbd.get(), std::min(size_ - offset, longest_status), offset, callback, 0),
            "looking at");
        if (found.offset <= offset) {
            throw Error(ErrorKind::io, fmt::format("the block server does not tell what is allocated in {}", name_));
        }
        for (const Extent& extent : some) {
            if (extent.depth >= 1 && extent.depth <= depth && extent.offset < size_) {
                all.push_back({extent.offset, std::min(extent.length, size_ - extent.offset), extent.depth});
            }
        }
        offset = found.offset;
    }
    return all;
}

void NbdDisk::begin_read(std::uint64_t offset, std::span<std::byte> into)
{
    const nbd_completion_callback none{.callback = nullptr, .user_data = nullptr, .free = nullptr};
    const std::int64_t cookie = nbd_aio_pread(handle_->nbd.get(), into.data(), into.size(), offset, none, 0);
    handle_->check(cookie, "reading");
    reading_ = static_cast<std::uint64_t>(cookie);
}

void NbdDisk::finish_read()
{
    while (reading_) {
        const int done = nbd_aio_command_completed(handle_->nbd.get(), *reading_);
        handle_->check(done, "reading");
        if (done != 0) {
            reading_.reset();
        } else {
            handle_->check(nbd_poll(handle_->nbd.get(), -1), "reading");
        }
    }
}

void NbdDisk::write(std::uint64_t offset, std::span<const std::byte> from)
{
    handle_->check(nbd_pwrite(handle_->nbd.get(), from.data(), from.size(), offset, 0), "writing");
}

void NbdDisk::write_zeroes(std::uint64_t offset, std::uint64_t length)
{
    handle_->check(nbd_zero(handle_->nbd.get(), length, offset, 0), "writing");
}

void NbdDisk::flush()
{
    handle_->check(nbd_flush(handle_->nbd.get(), 0), "flushing");
}

} // namespace kiln::builder
