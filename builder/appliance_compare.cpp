// SPDX-License-Identifier: Apache-2.0
// Two mounted trees, compared inside the appliance: only what differs crosses its serial line.
#include "builder/appliance_state.h"

#include "core/error.h"
#include "core/text.h"

#include <fmt/format.h>

#include <memory>

namespace kiln::builder
{
namespace
{

constexpr const char* scratch = "/run/kiln-compare";

// Lists are in the appliance's memory, at a path where libguestfs's calls reach them.
class CompareMemory
{
public:
    explicit CompareMemory(Appliance& appliance) : appliance_(appliance)
    {
        appliance_.mount_memory(scratch, mebibytes(256));
    }
    CompareMemory(const CompareMemory&) = delete;
    CompareMemory& operator=(const CompareMemory&) = delete;
    ~CompareMemory()
    {
        try {
            appliance_.unmount_memory(scratch);
        } catch (const Error&) { // the appliance has gone
        }
    }

private:
    Appliance& appliance_;
};

} // namespace

std::pair<std::string, std::string> Appliance::listing_differences(const std::string& other, const std::string& format)
{
    const CompareMemory memory(*this);
    state_->run_outside(fmt::format(R"(export LC_ALL=C
list() {{ ( cd "$1" && find . \( -path .{0} -o -path .{1} \) -prune -o -printf '{2}' ) | sort -z; }}
cd /sysroot{1} && list /sysroot >a && list /sysroot{0} >b && comm -z -23 a b >only-a && comm -z -13 a b >only-b)",
                                    other, scratch, format),
                        "listing the files of both images");
    return {read_file(std::string(scratch) + "/only-a"), read_file(std::string(scratch) + "/only-b")};
}

std::string Appliance::content_digests(const std::string& root, const std::vector<std::string>& paths)
{
    const CompareMemory memory(*this);
    std::string list;
    for (const std::string& path : paths) {
        list += "./" + path + '\0';
    }
    write_file(std::string(scratch) + "/list", list);
    // A symbolic link is not followed: what it says is its content.
    state_->run_outside(fmt::format(R"(export LC_ALL=C
cd /sysroot{0} || exit 1
xargs -0 -a /sysroot{1}/list sh -c 'for path; do
if [ -L "$path" ]; then set -- $(readlink -n "$path" | sha256sum); printf "%s  %s\0" "$1" "$path"
else printf "%s\0" "$path" >&3; fi; done' sh 3>/sysroot{1}/files >/sysroot{1}/digests || exit 1
[ ! -s /sysroot{1}/files ] || xargs -0 -a /sysroot{1}/files sha256sum -z -- >>/sysroot{1}/digests)",
                                    root, scratch),
                        "comparing the content of files");
    return read_file(std::string(scratch) + "/digests");
}

Appliance::Metadata Appliance::metadata(const std::string& path)
{
    const std::unique_ptr<struct guestfs_statns, void (*)(struct guestfs_statns*)> found(
        guestfs_lstatns(state_->get(), path.c_str()), guestfs_free_statns);
    if (!found) {
        state_->fail(ErrorKind::step_failed, fmt::format("looking at {}", path));
    }
    return {.mode = static_cast<std::uint32_t>(found->st_mode),
            .user = static_cast<std::uint32_t>(found->st_uid),
            .group = static_cast<std::uint32_t>(found->st_gid),
            .size = static_cast<std::uint64_t>(found->st_size)};
}

bool Appliance::is_there(const std::string& path)
{
    const int link = guestfs_is_symlink(state_->get(), path.c_str());
    state_->check(link, fmt::format("looking for {}", path));
    return link == 1 || exists(path);
}

std::string Appliance::link_target(const std::string& path)
{
    const String target(guestfs_readlink(state_->get(), path.c_str()));
    if (!target) {
        state_->fail(ErrorKind::step_failed, fmt::format("reading the link {}", path));
    }
    return target.get();
}

std::string Appliance::package_lists(const std::string& root, const std::vector<std::string>& packages)
{
    const CompareMemory memory(*this);
    std::string list;
    for (const std::string& package : packages) {
        list += package + '\n';
    }
    write_file(std::string(scratch) + "/list", list);
    state_->run_outside(fmt::format(R"(cd /sysroot{0}/var/lib/dpkg/info || exit 0
while read -r package; do
[ -f "$package.list" ] && [ ! -L "$package.list" ] || continue
echo "@${{package%:*}}"; cat "$package.list"; done </sysroot{1}/list >/sysroot{1}/owned; exit 0)",
                                    root, scratch),
                        "reading the packages' lists of files");
    const std::string owned = std::string(scratch) + "/owned";
    return exists(owned) ? read_file(owned) : "";
}

} // namespace kiln::builder
