// SPDX-License-Identifier: Apache-2.0
#include "builder/fstab.h"

#include <gmock/gmock.h>

namespace kiln::builder
{
namespace
{

const std::vector<FoundFilesystem> filesystems{
    {.device = "/dev/sda1", .type = "vfat", .uuid = "ABCD-1234", .label = "ESP"},
    {.device = "/dev/sda2", .type = "ext4", .uuid = "0a1b2c3d-0000-1111-2222-333344445555", .label = ""},
    {.device = "/dev/sdb", .type = "xfs", .uuid = "11111111-0000-1111-2222-333344445555", .label = "data"},
    {.device = "/dev/sdc", .type = "ext4", .uuid = "22222222-0000-1111-2222-333344445555", .label = "twin"},
    {.device = "/dev/sdd", .type = "ext4", .uuid = "22222222-0000-1111-2222-333344445555", .label = "twin"},
};

// "MOUNT DEVICE" each; "unknown" when it can't be told.
std::vector<std::string> told(std::string_view fstab)
{
    const auto mounts = mounts_of(fstab, "/dev/sda2", filesystems);
    if (!mounts) {
        return {"unknown"};
    }
    std::vector<std::string> words;
    for (const Mountpoint& mount : *mounts) {
        words.push_back(mount.mount + " " + mount.device);
    }
    return words;
}

TEST(Fstab, TellsMountsFromIds)
{
    EXPECT_THAT(told("# written by Kiln\n"
                     "UUID=0a1b2c3d-0000-1111-2222-333344445555 / ext4 errors=remount-ro 0 1\n"
                     "UUID=11111111-0000-1111-2222-333344445555 /var/lib/data xfs defaults 0 2\n"
                     "UUID=ABCD-1234\t/boot/efi vfat umask=0077 0 1\n"),
                testing::ElementsAre("/ /dev/sda2", "/boot/efi /dev/sda1", "/var/lib/data /dev/sdb"));
    EXPECT_THAT(told("LABEL=data /srv xfs"), testing::ElementsAre("/ /dev/sda2", "/srv /dev/sdb"));
    EXPECT_THAT(told("LABEL=data /with\\040space xfs defaults\n"),
                testing::ElementsAre("/ /dev/sda2", "/with space /dev/sdb"));
}

TEST(Fstab, LeavesOutWhatIsOnNoDisk)
{
    EXPECT_THAT(told("UUID=99999999-0000-1111-2222-333344445555 none swap sw 0 0\n"
                     "/swapfile none swap sw 0 0\n"
                     "tmpfs /tmp tmpfs size=10% 0 0\n"
                     "server:/export /mnt nfs defaults 0 0\n"
                     "/srv/a /srv/b none bind 0 0\n"
                     "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n"),
                testing::ElementsAre("/ /dev/sda2"));
    EXPECT_THAT(told(""), testing::ElementsAre("/ /dev/sda2"));
}

TEST(Fstab, DoesNotGuess)
{
    for (const std::string& line : {
             std::string("UUID=99999999-0000-1111-2222-333344445555 /srv ext4"), // none of these disks
             std::string("UUID=22222222-0000-1111-2222-333344445555 /srv ext4"), // of two of them
             std::string("LABEL=twin /srv ext4"),
             std::string("UUID= /srv ext4"),
             std::string("LABEL= /srv ext4"),
             std::string("/dev/sdb /srv xfs"),
             std::string("PARTUUID=1234 /srv xfs"),
             std::string("LABEL=data srv xfs"),
             std::string("LABEL=data /srv/../etc xfs"),
             std::string("LABEL=data /srv/ xfs"),
             std::string("LABEL=data //srv xfs"),
             std::string("LABEL=data none xfs"),
             std::string("LABEL=data /srv xfs\nLABEL=ESP /srv vfat"),
             std::string("LABEL=data /srv\0 xfs", 19),
         }) {
        EXPECT_THAT(told(line + "\n"), testing::ElementsAre("unknown")) << line;
    }
}

TEST(Fstab, SurvivesLongLines)
{
    const std::string options(1 << 20, 'x');
    static_cast<void>(mounts_of("LABEL=data /srv xfs " + options + "\n", "/dev/sda2", filesystems));
    static_cast<void>(mounts_of(options, "/dev/sda2", filesystems));
}

} // namespace
} // namespace kiln::builder
