// SPDX-License-Identifier: Apache-2.0
// libarchive's own safety flags are for unpacking to a disk; they do nothing here.
#include "core/archive_io.h"

#include "core/error.h"
#include "core/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <clocale>
#include <limits>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln
{
namespace
{

template <auto Function> struct Deleter {
    template <typename T> void operator()(T* handle) const { Function(handle); }
};
using Reader = std::unique_ptr<archive, Deleter<archive_read_free>>;
using Writer = std::unique_ptr<archive, Deleter<archive_write_free>>;
using Entry = std::unique_ptr<archive_entry, Deleter<archive_entry_free>>;

constexpr std::string_view capability_name = "security.capability";
constexpr std::size_t longest_capability = 24; // struct vfs_ns_cap_data

// libarchive turns names into the locale's charset. In this one they stay as they are.
class Utf8Locale
{
public:
    Utf8Locale() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)), before_(::uselocale(locale_)) {}
    Utf8Locale(const Utf8Locale&) = delete;
    Utf8Locale& operator=(const Utf8Locale&) = delete;
    ~Utf8Locale()
    {
        ::uselocale(before_);
        if (locale_ != nullptr) {
            ::freelocale(locale_);
        }
    }

private:
    locale_t locale_;
    locale_t before_;
};

std::string text_of(const char* text)
{
    return text == nullptr ? std::string() : std::string(text);
}

[[noreturn]] void refuse(const std::string& why)
{
    throw Error(ErrorKind::untrusted, why);
}

[[noreturn]] void damaged(archive* reader)
{
    refuse(fmt::format("it can't be read: {}", printable(text_of(archive_error_string(reader)), false)));
}

// A warning means that libarchive dropped or guessed something.
void require_written(archive* writer, la_ssize_t result)
{
    if (result < ARCHIVE_OK) {
        throw system_error(archive_errno(writer) != 0 ? archive_errno(writer) : EIO, "writing a tar");
    }
}

Reader open_reader(int fd, bool plain_tar)
{
    Reader reader(archive_read_new());
    archive* const handle = reader.get();
    archive_read_support_format_tar(handle);
    if (!plain_tar) {
        archive_read_support_filter_gzip(handle);
        archive_read_support_filter_xz(handle);
        archive_read_support_filter_zstd(handle);
        archive_read_support_filter_bzip2(handle);
        archive_read_support_format_zip_seekable(handle); // the streaming reader does not see links and modes
    }
    if (archive_read_open_fd(handle, fd, std::size_t{1} << 18U) != ARCHIVE_OK) {
        damaged(handle);
    }
    return reader;
}

MemberKind kind_of(archive_entry* entry)
{
    if (archive_entry_hardlink(entry) != nullptr) {
        if (archive_entry_size_is_set(entry) != 0 && archive_entry_size(entry) != 0) {
            refuse("it is a hard link with a content of its own");
        }
        return MemberKind::hard_link;
    }
    switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
        return MemberKind::folder;
    case AE_IFREG:
        return MemberKind::file;
    case AE_IFLNK:
        return MemberKind::symbolic_link;
    case AE_IFCHR:
    case AE_IFBLK:
        return MemberKind::device;
    default:
        refuse("it is a device, FIFO or socket");
    }
}

std::uint32_t account_id(la_int64_t id)
{
    // The last one means "nobody given" to chown(2).
    if (id < 0 || id >= std::numeric_limits<std::uint32_t>::max()) {
        refuse("its owner is no user and group id");
    }
    return static_cast<std::uint32_t>(id);
}

std::string capability_of(archive_entry* entry)
{
    archive_entry_xattr_reset(entry);
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t length = 0;
    while (archive_entry_xattr_next(entry, &name, &value, &length) == ARCHIVE_OK) {
        if (name != nullptr && name == capability_name) {
            if (length > longest_capability) {
                refuse("its file capabilities are too long");
            }
            return {static_cast<const char*>(value), length};
        }
    }
    return {};
}

unsigned file_type(MemberKind kind)
{
    return kind == MemberKind::folder ? AE_IFDIR : kind == MemberKind::symbolic_link ? AE_IFLNK : AE_IFREG;
}

} // namespace

struct TarFile::State {
    static la_ssize_t write(archive* writer, void* state, const void* bytes, std::size_t length);

    int fd = -1;
    bool given_up = false;
    Utf8Locale locale{};
    Writer writer{archive_write_new()};
};

la_ssize_t TarFile::State::write(archive* writer, void* state, const void* bytes, std::size_t length)
{
    const auto* const self = static_cast<State*>(state);
    if (self->given_up) {
        return -1;
    }
    ssize_t written = 0;
    do {
        written = ::write(self->fd, bytes, length);
    } while (written < 0 && errno == EINTR);
    if (written < 0) {
        archive_set_error(writer, errno, "%s", "write");
    }
    return written;
}

TarFile::TarFile(int fd) : state_(std::make_unique<State>())
{
    archive* const writer = state_->writer.get();
    state_->fd = fd;
    archive_write_set_format_pax_restricted(writer);
    archive_write_add_filter_none(writer);
    archive_write_set_bytes_in_last_block(writer, 1);
    require_written(writer, archive_write_open2(writer, state_.get(), nullptr, State::write, nullptr, nullptr));
}

// Else libarchive would fill up a member that was begun with zeroes to the size that it claimed. archive_write_fail()
// would say so too, but leaks libarchive's buffer.
TarFile::~TarFile()
{
    state_->given_up = true;
}

// Always fresh, so that nothing comes through that was not looked at: attributes, ACLs, flags.
void TarFile::add(const Member& member)
{
    const Entry entry(archive_entry_new());
    archive_entry_copy_pathname(entry.get(), member.name.c_str());
    archive_entry_set_filetype(entry.get(), file_type(member.kind));
    archive_entry_set_perm(entry.get(), member.mode);
    archive_entry_set_mtime(entry.get(), member.time, 0);
    archive_entry_set_uid(entry.get(), member.user);
    archive_entry_set_gid(entry.get(), member.group);
    archive_entry_set_size(entry.get(), 0);
    if (member.kind == MemberKind::file) {
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(member.size));
        if (!member.capability.empty()) {
            archive_entry_xattr_add_entry(entry.get(), std::string(capability_name).c_str(), member.capability.data(),
                                          member.capability.size());
        }
    } else if (member.kind == MemberKind::symbolic_link) {
        archive_entry_copy_symlink(entry.get(), member.target.c_str());
    } else if (member.kind == MemberKind::hard_link) {
        archive_entry_copy_hardlink(entry.get(), member.target.c_str());
    }
    require_written(state_->writer.get(), archive_write_header(state_->writer.get(), entry.get()));
}

void TarFile::add_folder(const std::string& name, const Member& like)
{
    add({.kind = MemberKind::folder, .name = name, .user = like.user, .group = like.group, .time = like.time});
}

void TarFile::write(const void* bytes, std::size_t length)
{
    if (length > 0) {
        require_written(state_->writer.get(), archive_write_data(state_->writer.get(), bytes, length));
    }
}

void TarFile::close()
{
    require_written(state_->writer.get(), archive_write_close(state_->writer.get()));
}

struct CheckedArchive::State {
    State(int fd, bool plain_tar) : reader(open_reader(fd, plain_tar)) {}
    Utf8Locale locale{};
    Reader reader;
};

CheckedArchive::CheckedArchive(int fd, const SafeTarOptions& options)
    : options_(options), state_(std::make_unique<State>(fd, options.plain_tar)), rules_(options.strip)
{
}

CheckedArchive::~CheckedArchive() = default;

std::optional<Member> CheckedArchive::next()
{
    archive* const reader = state_->reader.get();
    archive_entry* entry = nullptr;
    for (int result = 0; (result = archive_read_next_header(reader, &entry)) != ARCHIVE_EOF;) {
        if (result != ARCHIVE_OK) {
            damaged(reader);
        }
        if (++members_ > options_.most_members) {
            refuse(fmt::format("it has more than {} members", options_.most_members));
        }
        name_ = text_of(archive_entry_pathname(entry));
        try {
            if (auto member = check(entry)) {
                return member;
            }
        } catch (Error& error) {
            error.while_doing(fmt::format("its member \"{}\"", printable(name_, false)));
            throw;
        }
    }
    return std::nullopt;
}

std::optional<Member> CheckedArchive::check(archive_entry* entry)
{
    const MemberKind kind = kind_of(entry);
    const auto mode = static_cast<std::uint32_t>(archive_entry_perm(entry));
    if (!options_.whole_system && (mode & (S_ISUID | S_ISGID)) != 0) {
        refuse("it has a set-id bit");
    }
    const std::string target =
        text_of(kind == MemberKind::hard_link ? archive_entry_hardlink(entry) : archive_entry_symlink(entry));
    auto accepted = rules_.accept(kind, name_, target);
    size_ = kind == MemberKind::file ? claim_content(entry) : 0;
    if (!accepted) {
        return std::nullopt;
    }
    if (kind == MemberKind::device && !(options_.whole_system && accepted->name.starts_with("dev/"))) {
        refuse("it is a device, FIFO or socket");
    }
    return Member{.kind = kind,
                  .name = std::move(accepted->name),
                  .target = std::move(accepted->target),
                  .size = size_,
                  .mode = mode & 07777U,
                  .user = options_.owner ? *options_.owner : account_id(archive_entry_uid(entry)),
                  .group = options_.group ? *options_.group : account_id(archive_entry_gid(entry)),
                  .time = std::max<std::time_t>(archive_entry_mtime(entry), 0),
                  .capability = options_.whole_system ? capability_of(entry) : std::string(),
                  .missing_folders = std::move(accepted->missing_folders)};
}

// Before a byte of it is unpacked, so that a bomb stops at the limit.
std::uint64_t CheckedArchive::claim_content(archive_entry* entry)
{
    if (archive_entry_size_is_set(entry) == 0 || archive_entry_size(entry) < 0) {
        refuse("it does not say how long it is");
    }
    const auto size = static_cast<std::uint64_t>(archive_entry_size(entry));
    if (size > options_.largest_content.bytes() - content_) {
        refuse(fmt::format("the archive holds more than {}", to_string(options_.largest_content)));
    }
    content_ += size;
    return size;
}

void CheckedArchive::copy_content(TarFile& to)
{
    copy_content([&](std::string_view bytes) { to.write(bytes.data(), bytes.size()); });
}

void CheckedArchive::copy_content(const std::function<void(std::string_view)>& take)
{
    try {
        copy_blocks(take);
    } catch (Error& error) {
        error.while_doing(fmt::format("its member \"{}\"", printable(name_, false)));
        throw;
    }
}

// Blocks come in order; between them are the holes of a sparse file.
void CheckedArchive::copy_blocks(const std::function<void(std::string_view)>& take)
{
    static constexpr std::array<char, std::size_t{64} << 10U> zeroes{};
    std::uint64_t at = 0;
    const void* block = nullptr;
    std::size_t length = 0;
    la_int64_t offset = 0;
    archive* const reader = state_->reader.get();
    for (int result = 0; (result = archive_read_data_block(reader, &block, &length, &offset)) != ARCHIVE_EOF;) {
        if (result != ARCHIVE_OK) {
            damaged(reader);
        }
        const auto begin = static_cast<std::uint64_t>(offset);
        if (offset < 0 || begin < at || begin > size_ || length > size_ - begin) {
            refuse("it is longer than it says");
        }
        for (; at < begin; at += std::min<std::uint64_t>(begin - at, zeroes.size())) {
            take({zeroes.data(), std::min<std::uint64_t>(begin - at, zeroes.size())});
        }
        take({static_cast<const char*>(block), length});
        at = begin + length;
    }
    if (at != size_) {
        refuse("it is shorter than it says");
    }
}

} // namespace kiln
