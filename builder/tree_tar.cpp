// SPDX-License-Identifier: Apache-2.0
#include "builder/tree_tar.h"

#include "core/digest.h"
#include "core/error.h"
#include "core/file_descriptor.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <unistd.h>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

using Entry = recipes::TreeStep::Entry;

constexpr std::time_t fixed_time = 946684800; // 2000-01-01; tar(1) complains about 1970
class TarWriter
{
public:
    explicit TarWriter(const fs::path& file) : file_(file)
    {
        if (!archive_ || !entry_) {
            throw Error(ErrorKind::internal, "libarchive gave no handle");
        }
        check(archive_write_set_format_pax_restricted(get()));
        check(archive_write_open_filename(get(), file.c_str()));
    }

    // `size` counts for a file only.
    void begin(const std::string& name, const Entry& entry, std::uint32_t owner, std::uint32_t group)
    {
        archive_entry_clear(entry_.get());
        archive_entry_set_pathname(entry_.get(), name.c_str());
        archive_entry_set_filetype(entry_.get(), type_of(entry.kind));
        archive_entry_set_perm(entry_.get(), entry.kind == Entry::Kind::link ? 0777 : entry.mode);
        archive_entry_set_uid(entry_.get(), owner);
        archive_entry_set_gid(entry_.get(), group);
        archive_entry_set_mtime(entry_.get(), fixed_time, 0);
        archive_entry_set_size(entry_.get(), 0);
        if (entry.kind == Entry::Kind::file) {
            archive_entry_set_size(entry_.get(), static_cast<la_int64_t>(entry.size.bytes()));
        } else if (entry.kind == Entry::Kind::link) {
            archive_entry_set_symlink(entry_.get(), entry.target.c_str());
        }
        check(archive_write_header(get(), entry_.get()));
    }

    void write(std::string_view bytes)
    {
        if (archive_write_data(get(), bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size())) {
            fail();
        }
    }

    void close() { check(archive_write_close(get())); }

private:
    [[nodiscard]] archive* get() const { return archive_.get(); }

    static unsigned int type_of(Entry::Kind kind)
    {
        switch (kind) {
        case Entry::Kind::folder:
            return AE_IFDIR;
        case Entry::Kind::link:
            return AE_IFLNK;
        case Entry::Kind::file:
            break;
        }
        return AE_IFREG;
    }

    void check(int result)
    {
        if (result != ARCHIVE_OK) {
            fail();
        }
    }

    [[noreturn]] void fail()
    {
        const int number = archive_errno(get());
        const std::string doing = fmt::format("writing {}", file_.native());
        if (number > 0) {
            throw system_error(number, doing);
        }
        const char* words = archive_error_string(get());
        throw Error(ErrorKind::io, fmt::format("{}: {}", doing, words != nullptr ? words : "libarchive failed"));
    }

    fs::path file_;
    std::unique_ptr<archive, decltype(&archive_write_free)> archive_{archive_write_new(), archive_write_free};
    std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry_{archive_entry_new(), archive_entry_free};
};

[[noreturn]] void refuse_changed(const fs::path& source)
{
    throw Error(ErrorKind::conflict, fmt::format("{} changed while the build ran", source.native()),
                "leave the recipe's files alone during a build, then build again");
}

// What goes into the tar is what is digested: the file is read once.
void copy_content(const Entry& entry, TarWriter& writer)
{
    const FileDescriptor fd(::open(entry.source.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", entry.source.native()));
    }
    std::array<char, std::size_t{256} << 10U> buffer{};
    Sha256 digest;
    std::uint64_t rest = entry.size.bytes();
    while (true) {
        const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got < 0) {
            throw system_error(errno, fmt::format("reading {}", entry.source.native()));
        }
        if (got == 0) {
            break;
        }
        const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
        if (bytes.size() > rest) {
            refuse_changed(entry.source);
        }
        rest -= bytes.size();
        digest.update(bytes);
        writer.write(bytes);
    }
    if (rest != 0 || digest.finish() != entry.digest) {
        refuse_changed(entry.source);
    }
}

} // namespace

void write_tree_tar(const recipes::TreeStep& tree, std::uint32_t owner, std::uint32_t group, const fs::path& tar)
{
    TarWriter writer(tar);
    for (const Entry& entry : tree.entries) {
        writer.begin(entry.path.empty() ? "./" : "./" + entry.path, entry, owner, group);
        if (entry.kind == Entry::Kind::file) {
            copy_content(entry, writer);
        }
    }
    writer.close();
}

} // namespace kiln::builder
