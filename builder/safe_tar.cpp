// SPDX-License-Identifier: Apache-2.0
// The owner of libarchive. Its own safety flags are for unpacking to a disk; here nothing is unpacked.
#include "builder/safe_tar.h"

#include "builder/member_rules.h"
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <clocale>
#include <fcntl.h>
#include <locale.h>
#include <memory>
#include <sys/stat.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

template <auto Function> struct Deleter {
    template <typename T> void operator()(T* handle) const { Function(handle); }
};
using Reader = std::unique_ptr<archive, Deleter<archive_read_free>>;
using Writer = std::unique_ptr<archive, Deleter<archive_write_free>>;
using Entry = std::unique_ptr<archive_entry, Deleter<archive_entry_free>>;

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

Reader open_reader(int fd)
{
    Reader reader(archive_read_new());
    archive* const handle = reader.get();
    archive_read_support_filter_gzip(handle);
    archive_read_support_filter_xz(handle);
    archive_read_support_filter_zstd(handle);
    archive_read_support_filter_bzip2(handle);
    archive_read_support_format_tar(handle);
    archive_read_support_format_zip_seekable(handle); // the streaming reader does not see links and modes
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
    default:
        refuse("it is a device, FIFO or socket");
    }
}

class SafeTar
{
public:
    SafeTar(int in, int out, const SafeTarOptions& options)
        : options_(options), reader_(open_reader(in)), writer_(archive_write_new()), rules_(options.strip)
    {
        archive_write_set_format_pax_restricted(writer_.get());
        archive_write_add_filter_none(writer_.get());
        require_written(writer_.get(), archive_write_open_fd(writer_.get(), out));
    }

    void copy()
    {
        archive_entry* entry = nullptr;
        for (int result = 0; (result = archive_read_next_header(reader_.get(), &entry)) != ARCHIVE_EOF;) {
            if (result != ARCHIVE_OK) {
                damaged(reader_.get());
            }
            if (++members_ > options_.most_members) {
                refuse(fmt::format("it has more than {} members", options_.most_members));
            }
            const std::string name = text_of(archive_entry_pathname(entry));
            try {
                copy_member(entry, name);
            } catch (Error& error) {
                error.while_doing(fmt::format("its member \"{}\"", printable(name, false)));
                throw;
            }
        }
        if (members_ == 0) {
            refuse("it holds nothing");
        }
        require_written(writer_.get(), archive_write_close(writer_.get()));
    }

private:
    void copy_member(archive_entry* entry, const std::string& name)
    {
        const MemberKind kind = kind_of(entry);
        if ((archive_entry_perm(entry) & (S_ISUID | S_ISGID)) != 0) {
            refuse("it has a set-id bit");
        }
        const std::string target =
            text_of(kind == MemberKind::hard_link ? archive_entry_hardlink(entry) : archive_entry_symlink(entry));
        const auto accepted = rules_.accept(kind, name, target);
        const std::uint64_t size = kind == MemberKind::file ? claim_content(entry) : 0;
        if (!accepted) {
            return;
        }
        for (const std::string& folder : accepted->missing_folders) {
            const Entry made = new_entry(folder, entry);
            archive_entry_set_filetype(made.get(), AE_IFDIR);
            archive_entry_set_perm(made.get(), 0755);
            require_written(writer_.get(), archive_write_header(writer_.get(), made.get()));
        }
        write_header(entry, *accepted, kind, size);
        if (kind == MemberKind::file) {
            copy_content(size);
        }
    }

    // Before a byte of it is unpacked, so that a bomb stops at the limit.
    std::uint64_t claim_content(archive_entry* entry)
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

    // Fresh, so that nothing comes through that was not looked at: attributes, ACLs, flags.
    [[nodiscard]] Entry new_entry(const std::string& name, archive_entry* from) const
    {
        Entry entry(archive_entry_new());
        archive_entry_copy_pathname(entry.get(), name.c_str());
        archive_entry_set_mtime(entry.get(), std::max<std::time_t>(archive_entry_mtime(from), 0), 0);
        archive_entry_set_uid(entry.get(), options_.owner ? *options_.owner : archive_entry_uid(from));
        archive_entry_set_gid(entry.get(), options_.group ? *options_.group : archive_entry_gid(from));
        return entry;
    }

    void write_header(archive_entry* from, const MemberRules::Accepted& accepted, MemberKind kind, std::uint64_t size)
    {
        const Entry entry = new_entry(accepted.name, from);
        archive_entry_set_perm(entry.get(), archive_entry_perm(from) & 01777);
        archive_entry_set_filetype(entry.get(), kind == MemberKind::folder          ? AE_IFDIR
                                                : kind == MemberKind::symbolic_link ? AE_IFLNK
                                                                                    : AE_IFREG);
        if (kind == MemberKind::symbolic_link) {
            archive_entry_copy_symlink(entry.get(), accepted.target.c_str());
        } else if (kind == MemberKind::hard_link) {
            archive_entry_copy_hardlink(entry.get(), accepted.target.c_str());
        }
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
        require_written(writer_.get(), archive_write_header(writer_.get(), entry.get()));
    }

    void write_zeroes(std::uint64_t length)
    {
        static constexpr std::array<char, std::size_t{64} << 10U> zeroes{};
        for (; length > 0; length -= std::min<std::uint64_t>(length, zeroes.size())) {
            require_written(writer_.get(), archive_write_data(writer_.get(), zeroes.data(),
                                                              std::min<std::uint64_t>(length, zeroes.size())));
        }
    }

    // Blocks come in order; between them are the holes of a sparse file.
    void copy_content(std::uint64_t size)
    {
        std::uint64_t at = 0;
        const void* block = nullptr;
        std::size_t length = 0;
        la_int64_t offset = 0;
        for (int result = 0;
             (result = archive_read_data_block(reader_.get(), &block, &length, &offset)) != ARCHIVE_EOF;) {
            if (result != ARCHIVE_OK) {
                damaged(reader_.get());
            }
            const auto begin = static_cast<std::uint64_t>(offset);
            if (offset < 0 || begin < at || begin > size || length > size - begin) {
                refuse("it is longer than it says");
            }
            write_zeroes(begin - at);
            if (length > 0) {
                require_written(writer_.get(), archive_write_data(writer_.get(), block, length));
            }
            at = begin + length;
        }
        if (at != size) {
            refuse("it is shorter than it says");
        }
    }

    const SafeTarOptions& options_;
    Reader reader_;
    Writer writer_;
    MemberRules rules_;
    std::uint64_t content_ = 0;
    std::uint64_t members_ = 0;
};

} // namespace

void write_safe_tar(const fs::path& archive, const fs::path& tar, const SafeTarOptions& options)
{
    const std::string name = printable(archive.native(), false);
    const FileDescriptor in(::open(archive.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!in) {
        throw system_error(errno, fmt::format("opening {}", name));
    }
    FileDescriptor out(::open(tar.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out) {
        throw system_error(errno, fmt::format("creating {}", tar.native()));
    }
    try {
        const Utf8Locale locale;
        SafeTar(in.get(), out.get(), options).copy();
        out.close();
    } catch (Error& error) {
        std::error_code ignored;
        fs::remove(tar, ignored);
        error.while_doing(fmt::format("the archive {} can't be unpacked", name));
        throw;
    }
}

} // namespace kiln::builder
