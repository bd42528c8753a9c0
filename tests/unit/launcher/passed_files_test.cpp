// SPDX-License-Identifier: Apache-2.0
// QEMU's argv with descriptors in place of paths: what is opened how, and that no path of the instance is left.
#include "core/error.h"
#include "core/files.h"
#include "core/json_socket.h"
#include "launcher/passed_files.h"
#include "launcher/qemu_command.h"
#include "launcher/warm/guest_memory.h"
#include "tests/unit/launcher/fixtures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <fcntl.h>
#include <sys/socket.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::Not;

class PassedFiles : public testing::Test
{
protected:
    PassedFiles()
    {
        fs::create_directories(files_.disks);
        fs::create_directories(files_.ssh);
        fs::create_directories(files_.frames);
        for (const char* name : {"base,1", "delta"}) {
            write_file_durably(home_ / name, name);
        }
        write_file_durably(files_.disks / "disk0.qcow2", "overlay");
        write_file_durably(files_.ssh / "id_ed25519.pub", "ssh-ed25519 AAAA one,two\n");
        instance_.disks[0].layers = {home_ / "base,1", home_ / "delta"};
    }

    // The argument of `option` that has `part`.
    static std::string argument(const PassedArgv& passed, const std::string& option, const std::string& part)
    {
        for (std::size_t i = 0; i + 1 < passed.argv.size(); ++i) {
            if (passed.argv[i] == option && passed.argv[i + 1].find(part) != std::string::npos) {
                return passed.argv[i + 1];
            }
        }
        return "none";
    }
    // What the descriptors of a set lead to, with "rw", "r" or "w".
    static std::vector<std::string> files_of_set(const PassedArgv& passed, const std::string& set)
    {
        std::vector<std::string> files;
        for (std::size_t i = 0; i + 1 < passed.argv.size(); ++i) {
            if (passed.argv[i] == "-add-fd" && passed.argv[i + 1].find(",set=" + set + ",") != std::string::npos) {
                files.push_back(described(number_after(passed.argv[i + 1], "fd=")));
            }
        }
        return files;
    }
    static int number_after(const std::string& text, const std::string& mark)
    {
        int number = -1;
        const char* begin = text.data() + text.find(mark) + mark.size();
        std::from_chars(begin, text.data() + text.size(), number);
        return number;
    }
    static std::string described(int fd)
    {
        const int mode = ::fcntl(fd, F_GETFL) & O_ACCMODE;
        return fs::read_symlink("/proc/self/fd/" + std::to_string(fd)).filename().native() + (mode == O_RDWR ? " rw"
                                                                                              : mode == O_RDONLY
                                                                                                  ? " r"
                                                                                                  : " w");
    }
    static std::string set_of_node(const PassedArgv& passed, const std::string& name)
    {
        const Json node = Json::parse(argument(passed, "-blockdev", R"("node-name":")" + name + "\""));
        return node.at("file").at("filename").get<std::string>().substr(std::string("/dev/fdset/").size());
    }

    test::TemporaryFolder folder_;
    fs::path home_ = folder_.path() / "a,b"; // a comma is doubled in QEMU's options, and not in its JSON
    InstancePaths files_{paths_in(home_), "i-0123456789abcdef0"};
    Instance instance_ = small_instance(files_);
};

TEST_F(PassedFiles, ALayerIsReadAndAnOverlayIsWritten)
{
    const PassedArgv passed = pass_files(qemu_argv(instance_, files_));
    EXPECT_THAT(files_of_set(passed, set_of_node(passed, "disk0-layer0")), ElementsAre("base,1 r"));
    EXPECT_THAT(files_of_set(passed, set_of_node(passed, "disk0-layer1")), ElementsAre("delta r"));
    EXPECT_THAT(files_of_set(passed, set_of_node(passed, "disk0")), ElementsAre("disk0.qcow2 rw", "disk0.qcow2 r"));
    EXPECT_NE(set_of_node(passed, "disk0"), set_of_node(passed, "disk0-layer0"));
    EXPECT_THAT(argument(passed, "-add-fd", "opaque=disk0-layer1"), testing::HasSubstr("set="));
    for (const FileDescriptor& file : passed.files) { // no other process of this one's gets them
        EXPECT_EQ(::fcntl(file.get(), F_GETFD), FD_CLOEXEC);
        EXPECT_GT(file.get(), 2);
    }
}

TEST_F(PassedFiles, TheConsoleIsAppendedTo)
{
    write_file_durably(files_.console, "before\n");
    const PassedArgv passed = pass_files(qemu_argv(instance_, files_));
    const std::string console = argument(passed, "-chardev", "id=console,");
    EXPECT_THAT(console,
                testing::MatchesRegex("socket,id=console,fd=[0-9]+,server=on,wait=off,logfile=/dev/fdset/[0-9]+,"
                                      "logappend=on"));
    EXPECT_THAT(files_of_set(passed, std::to_string(number_after(console, "fdset/"))), ElementsAre("console.log w"));
    EXPECT_EQ(read_file(files_.console), "before\n");
}

TEST_F(PassedFiles, SocketsListenAlready)
{
    const PassedArgv passed = pass_files(qemu_argv(instance_, files_));
    const std::string qmp = argument(passed, "-chardev", "socket,id=qmp,");
    EXPECT_THAT(qmp, testing::MatchesRegex("socket,id=qmp,fd=[0-9]+,server=on,wait=off"));
    int listens = 0;
    socklen_t length = sizeof listens;
    ASSERT_EQ(0, ::getsockopt(number_after(qmp, "fd="), SOL_SOCKET, SO_ACCEPTCONN, &listens, &length));
    EXPECT_EQ(listens, 1);
    EXPECT_NO_THROW(static_cast<void>(JsonSocket::connect(files_.agent_socket, "QEMU")));
    EXPECT_EQ(fs::status(files_.qmp_socket).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(PassedFiles, AClonesMemoryIsNoFileOfItsTemplates)
{
    instance_.warm = WarmLaunch{.start = WarmLaunch::Start::clone, .folder = home_};
    const FileDescriptor memory = make_guest_memory(instance_.memory);
    const PassedArgv passed = pass_files(qemu_argv(instance_, files_), memory);
    const std::string object = argument(passed, "-object", "memory-backend-file,");
    EXPECT_THAT(object, testing::MatchesRegex(
                            "memory-backend-file,id=memory,size=2048M,mem-path=/proc/self/fd/[0-9]+,share=off"));
    const int passed_memory = number_after(object, "/fd/");
    EXPECT_NE(passed_memory, memory.get()); // which stays this process's own
    EXPECT_EQ(described(passed_memory), "memfd:kiln-guest-memory (deleted) rw");
    EXPECT_EQ(argument(passed, "-object", "rng-random"), "rng-random,id=rng,filename=/dev/urandom");
    EXPECT_THROW(static_cast<void>(pass_files(qemu_argv(instance_, files_))), Error) << "there is no memory";
}

TEST_F(PassedFiles, KeysAndFramesNeedNoFile)
{
    const PassedArgv passed = pass_files(qemu_argv(instance_, files_));
    EXPECT_EQ(argument(passed, "-fw_cfg", "authorized_keys"),
              "name=opt/io.systemd.credentials/ssh.authorized_keys.root,string=ssh-ed25519 AAAA one,,two\n");
    const Json network = Json::parse(argument(passed, "-netdev", "dgram"));
    EXPECT_EQ(network.at("local"), Json({{"type", "unix"}, {"path", "qemu.sock"}}));
    EXPECT_EQ(network.at("remote"), Json({{"type", "unix"}, {"path", "helper.sock"}}));
    EXPECT_EQ(passed.folder, files_.frames);
    EXPECT_EQ(passed.pid_file, files_.pid_file);
}

TEST_F(PassedFiles, NoPathOfTheInstanceIsLeft)
{
    instance_.boot_mode = "uefi";
    write_file_durably(files_.firmware_variables, "variables");
    if (!fs::exists(firmware_code)) {
        GTEST_SKIP() << "ovmf is not installed";
    }
    const std::vector<std::string> plain = qemu_argv(instance_, files_);
    const PassedArgv passed = pass_files(plain);
    for (const std::string& word : passed.argv) {
        EXPECT_THAT(word, Not(testing::HasSubstr("/a,b"))) << word;
        EXPECT_THAT(word, Not(testing::HasSubstr("/a,,b"))) << word;
        EXPECT_NE(word, "-pidfile");
    }
    EXPECT_THAT(files_of_set(passed, set_of_node(passed, "firmware-variables")),
                ElementsAre("firmware-variables.fd rw", "firmware-variables.fd r"));
    // Nothing else is lost on the way: -pidfile and its value are, two words for each descriptor of a set come.
    const auto sets = static_cast<std::size_t>(std::ranges::count(passed.argv, "-add-fd"));
    EXPECT_EQ(passed.argv.size(), plain.size() - 2 + 2 * sets);
}

TEST_F(PassedFiles, AMissingFileIsNamed)
{
    fs::remove(files_.disks / "disk0.qcow2");
    try {
        static_cast<void>(pass_files(qemu_argv(instance_, files_)));
        FAIL();
    } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("disk0.qcow2: No such file or directory"));
    }
}

} // namespace
} // namespace kiln::launcher
