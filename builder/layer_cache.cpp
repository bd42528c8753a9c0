// SPDX-License-Identifier: Apache-2.0
// One folder a layer, ID.INSTANCE, with layer.json and its disks. Who uses a layer holds a shared
// flock() on its folder; who removes one needs it exclusively. The time of layer.json is that of its last use.
// A record that names a boot of the machine is of files that may not be on the disk yet: it counts until the next boot.
#include "builder/layer_cache.h"

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sys/file.h>
#include <sys/stat.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

constexpr int record_schema = 1;
constexpr ByteSize default_limit = gibibytes(10);
constexpr const char* record_name = "layer.json";

std::string disk_name(std::size_t index)
{
    return fmt::format("disk{}.qcow2", index);
}

// Of the machine's start, after which nothing is left of what was not written to its disk.
std::string this_boot()
{
    return read_file("/proc/sys/kernel/random/boot_id");
}

Json to_json(const LayerRecord& record, const Json& boot)
{
    return {{"schema", record_schema}, {"id", record.id.to_string()}, {"instance", record.instance},
            {"below", record.below},   {"title", record.title},       {"inputs", record.inputs},
            {"facts", record.facts},   {"took", record.took.count()}, {"boot", boot}};
}

struct StoredRecord {
    LayerRecord record;
    bool durable = false;
};

// Throws Error{io} for what is not a record of this version, or not of this boot.
StoredRecord record_from(const std::string& text)
{
    constexpr std::string_view what = "the record of a cached layer";
    const Json json = parse_json(text, what);
    const auto id = Digest::parse(string_member(json, "id", what));
    if (integer_member(json, "schema", what) != record_schema || !id) {
        throw Error(ErrorKind::io, fmt::format("{} is of another version", what));
    }
    const Json boot = json.value("boot", Json());
    if (!boot.is_null() && boot != this_boot()) {
        throw Error(ErrorKind::io, fmt::format("{} is of files that may be lost", what));
    }
    return {{.id = *id,
             .instance = string_member(json, "instance", what),
             .below = string_member(json, "below", what),
             .title = string_member(json, "title", what),
             .inputs = member(json, "inputs", what),
             .facts = member(json, "facts", what),
             .took = std::chrono::milliseconds(integer_member(json, "took", what))},
            boot.is_null()};
}

void write_file(const fs::path& file, std::string_view content)
{
    std::ofstream stream(file);
    if (!(stream << content << std::flush)) {
        throw system_error(errno, fmt::format("writing {}", file.native()));
    }
}

FileDescriptor lock_folder(const fs::path& folder, int operation)
{
    FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd && ::flock(fd.get(), operation | LOCK_NB) == 0 ? std::move(fd) : FileDescriptor();
}

void mark_used(const fs::path& folder)
{
    ::utimensat(AT_FDCWD, (folder / record_name).c_str(), nullptr, 0);
}

ByteSize size_of(const fs::path& folder)
{
    ByteSize size;
    std::error_code ignored; // a file that goes away meanwhile counts nothing
    for (const fs::directory_entry& file : fs::directory_iterator(folder, ignored)) {
        struct stat status {
        };
        if (::stat(file.path().c_str(), &status) == 0) {
            size = size + ByteSize(static_cast<std::uint64_t>(status.st_blocks) * 512);
        }
    }
    return size;
}

struct Entry {
    fs::path folder;
    fs::file_time_type used;
    ByteSize size;
};

std::vector<Entry> entries_of(const fs::path& layers)
{
    std::vector<Entry> entries;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(layers, ignored)) {
        std::error_code gone;
        const auto used = fs::last_write_time(entry.path() / record_name, gone);
        entries.push_back({entry.path(), gone ? fs::file_time_type::min() : used, size_of(entry.path())});
    }
    return entries;
}

} // namespace

CachedLayer::CachedLayer(LayerRecord record, fs::path folder, FileDescriptor in_use, bool durable)
    : record_(std::move(record)), folder_(std::move(folder)), in_use_(std::move(in_use)), durable_(durable)
{
}

fs::path CachedLayer::disk(std::size_t index) const
{
    return folder_ / disk_name(index);
}

LayerCache::LayerCache(fs::path folder) : folder_(std::move(folder))
{
    make_directories(folder_ / "layers", 0700);
    make_directories(folder_ / "making", 0700);
    WorkFolder::sweep_abandoned(folder_ / "staging");
}

std::vector<CachedLayer> LayerCache::find_chain(const std::vector<WantedLayer>& wanted, const std::string& below)
{
    std::vector<Entry> entries = entries_of(folder_ / "layers");
    std::ranges::sort(entries, std::ranges::greater(), &Entry::used);
    const auto find_layer = [&](const Digest& id, const auto& fits,
                                const std::string& ground) -> std::optional<CachedLayer> {
        for (const Entry& entry : entries) {
            if (!entry.folder.filename().native().starts_with(id.hex())) {
                continue;
            }
            FileDescriptor in_use = lock_folder(entry.folder, LOCK_SH);
            try {
                auto [record, durable] = record_from(read_file(entry.folder / record_name));
                if (in_use && record.below == ground && (!fits || fits(record))) {
                    return CachedLayer(std::move(record), entry.folder, std::move(in_use), durable);
                }
            } catch (const Error&) { // being removed, or written by another version: as if it were not there
            }
        }
        return std::nullopt;
    };
    std::vector<CachedLayer> chain;
    for (const WantedLayer& next : wanted) {
        std::optional<CachedLayer> layer;
        for (auto id = next.ids.begin(); id != next.ids.end() && !layer; ++id) {
            layer = find_layer(*id, next.fits, chain.empty() ? below : chain.back().record().instance);
        }
        if (!layer) {
            break;
        }
        chain.push_back(std::move(*layer));
    }
    // The lowest is the last to be removed, as all others stand on it.
    std::for_each(chain.rbegin(), chain.rend(), [](const CachedLayer& layer) { mark_used(layer.folder_); });
    return chain;
}

std::vector<LayerRecord> LayerCache::records() const
{
    std::vector<Entry> entries = entries_of(folder_ / "layers");
    std::ranges::sort(entries, std::ranges::greater(), &Entry::used);
    std::vector<LayerRecord> records;
    for (const Entry& entry : entries) {
        try {
            records.push_back(record_from(read_file(entry.folder / record_name)).record);
        } catch (const Error&) { // as in find_chain
        }
    }
    return records;
}

std::optional<FileDescriptor> LayerCache::try_lock_making(const Digest& id)
{
    const fs::path path = folder_ / "making" / id.hex();
    FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) {
        throw system_error(errno, fmt::format("locking {}", path.native()));
    }
    struct stat ours {
    };
    struct stat there {
    };
    // evict() may have removed the file between the two calls.
    const bool locked = ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(fd.get(), &ours) == 0 &&
                        ::stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino;
    return locked ? std::optional(std::move(fd)) : std::nullopt;
}

CachedLayer LayerCache::store(LayerRecord record, const std::vector<fs::path>& disks)
{
    const WorkFolder staging(folder_ / "staging", "layer-");
    const fs::path making = staging.path() / "layer";
    make_directories(making, 0700);
    record.instance = random_hex(16);
    for (std::size_t i = 0; i < disks.size(); ++i) {
        link_or_copy(disks[i], making / disk_name(i));
    }
    write_file(making / record_name, to_json(record, this_boot()).dump());
    FileDescriptor in_use = lock_folder(making, LOCK_SH);
    fs::path folder = folder_ / "layers" / fmt::format("{}.{}", record.id.hex(), record.instance);
    fs::rename(making, folder);
    return {std::move(record), std::move(folder), std::move(in_use), false};
}

void LayerCache::make_durable(std::vector<CachedLayer>& layers)
{
    if (std::ranges::all_of(layers, &CachedLayer::durable)) {
        return;
    }
    sync_directory(folder_ / "layers");
    // From the top, as the lowest is to have the latest time.
    std::for_each(layers.rbegin(), layers.rend(), [](CachedLayer& layer) {
        if (!layer.durable()) {
            for (std::size_t i = 0; fs::exists(layer.disk(i)); ++i) {
                sync_file(layer.disk(i));
            }
            write_file_durably(layer.folder_ / record_name, to_json(layer.record(), nullptr).dump(), 0600);
            layer.durable_ = true;
        }
    });
}

void LayerCache::evict(ByteSize most)
{
    std::vector<Entry> entries = entries_of(folder_ / "layers");
    std::ranges::sort(entries, {}, &Entry::used);
    ByteSize size;
    for (const Entry& entry : entries) {
        size = size + entry.size;
    }
    for (const Entry& entry : entries) {
        if (size <= most) {
            break;
        }
        const FileDescriptor alone = lock_folder(entry.folder, LOCK_EX);
        std::error_code ignored;
        // The record goes first: without it the rest is no layer, should we be killed in between.
        if (alone && (fs::remove(entry.folder / record_name, ignored), fs::remove_all(entry.folder, ignored) > 0)) {
            size = ByteSize(size.bytes() - entry.size.bytes());
        }
    }
    std::error_code ignored;
    for (const fs::directory_entry& lock : fs::directory_iterator(folder_ / "making", ignored)) {
        const FileDescriptor fd(::open(lock.path().c_str(), O_RDWR | O_CLOEXEC));
        if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
            fs::remove(lock.path(), ignored);
        }
    }
}

LayerCache::Usage LayerCache::usage() const
{
    Usage usage;
    for (const Entry& entry : entries_of(folder_ / "layers")) {
        usage.size = usage.size + entry.size;
        ++usage.layers;
    }
    return usage;
}

ByteSize cache_limit()
{
    const char* text = std::getenv("KILN_CACHE_SIZE");
    if (text == nullptr || *text == '\0') {
        return default_limit;
    }
    const auto size = parse_byte_size(text);
    if (!size) {
        throw Error(ErrorKind::usage, fmt::format("KILN_CACHE_SIZE: \"{}\" is not a size", text),
                    "write it like \"20GiB\"");
    }
    return *size;
}

} // namespace kiln::builder
