// SPDX-License-Identifier: Apache-2.0
// One appliance for all cases: a writable top over the layers of the shared Debian AMI (KILN_TEST_LAYERS, see steps.sh)
// and a small empty disk, which is sealed. Cases are independent but for the disk that they share.
#include "builder/appliance.h"
#include "builder/block_server.h"
#include "builder/disk_layout.h"
#include "builder/seal.h"
#include "builder/steps.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"
#include "core/process.h"
#include "tests/support/temporary_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <sys/stat.h>
#include <thread>

namespace kiln::builder
{
namespace
{

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr ByteSize small_disk = mebibytes(64);
// Read from a file, so that no environment holds it; in two parts, so that this program's own text does not.
const std::string canary = std::string("canary-6f1d") + "9e72c4b8";

bool file_holds(const fs::path& file, std::string_view text)
{
    std::ifstream in(file, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    return bytes.find(text) != bytes.npos;
}

class StepsTest : public testing::Test
{
protected:
    static void SetUpTestSuite()
    {
        const char* layers = std::getenv("KILN_TEST_LAYERS");
        ASSERT_NE(layers, nullptr) << "run this by tests/integration/steps.sh";
        std::stringstream paths(layers);
        DiskChain root{.size = ByteSize(std::stoull(std::getenv("KILN_TEST_SIZE"))), .top = work() / "top.qcow2"};
        for (std::string path; std::getline(paths, path, ':');) {
            root.layers.emplace_back(path);
        }
        server_ = std::make_unique<BlockServer>(
            std::vector<DiskChain>{root, {.size = small_disk, .top = work() / "small.qcow2"}}, work());
        appliance_ = std::make_unique<Appliance>(
            ApplianceOptions{.accelerator = Accelerator::tcg, .network = true, .temporary = work()},
            std::vector<ApplianceDrive>{{server_->socket(), BlockServer::export_name(0)},
                                        {server_->socket(), BlockServer::export_name(1)}},
            std::stop_token{});
        appliance_->mount(std::string(root_partition_device), "/");
        write_file_durably(work() / "secret", canary + "\n", 0600);
        const std::vector<recipes::Secret> declared = {{.name = "token", .file = work() / "secret"}};
        secrets_ = std::make_unique<Secrets>(declared, std::set<std::string>{"token"});
    }
    static void TearDownTestSuite()
    {
        appliance_.reset();
        server_.reset();
        secrets_.reset();
        folder_.reset();
    }

    static const fs::path& work()
    {
        if (!folder_) {
            folder_ = std::make_unique<test::TemporaryFolder>();
        }
        return folder_->path();
    }
    static fs::path log() { return work() / "step.log"; }
    static std::string text_of(const fs::path& path) { return fs::exists(path) ? read_file(path) : ""; }

    static void apply(decltype(recipes::Step::action) action)
    {
        static const recipes::Recipe recipe = [] {
            recipes::Recipe r{.version = *parse_semantic_version("1.0.0"), .base = recipes::BootstrapBase{}};
            r.file = "test.toml";
            return r;
        }();
        apply_step({.appliance = *appliance_, .recipe = recipe, .log = log(), .secrets = *secrets_},
                   {.action = std::move(action), .position = {7, 1}});
    }
    static std::string failure_of(decltype(recipes::Step::action) action, ErrorKind kind = ErrorKind::step_failed)
    {
        try {
            apply(std::move(action));
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), kind);
            return std::string(error.what()) + "\n" + error.hint();
        }
        return "no error";
    }
    static std::string in_guest(const std::string& command) { return appliance_->run({"/bin/sh", "-c", command}); }

    static inline std::unique_ptr<test::TemporaryFolder> folder_;
    static inline std::unique_ptr<BlockServer> server_;
    static inline std::unique_ptr<Appliance> appliance_;
    static inline std::unique_ptr<Secrets> secrets_;
};

TEST_F(StepsTest, AccountsAreAsTheRecipeSays)
{
    apply(recipes::GroupStep{.name = "ops", .gid = 4242});
    apply(recipes::UserStep{.name = "web",
                            .uid = 4711,
                            .comment = "Web server",
                            .home = "/srv/people/web",
                            .groups = {"ops"},
                            .shell = "/bin/sh",
                            .sudo = true,
                            .password_hash = "$6$salt$hash",
                            .ssh_authorized_keys = {"ssh-ed25519 AAAA a", "ssh-ed25519 BBBB b"}});
    apply(recipes::UserStep{.name = "daemon2", .system = true});
    apply(recipes::GroupStep{.name = "adm", .members = {"web"}});
    EXPECT_EQ(in_guest("getent passwd web; id -nG web"),
              "web:x:4711:4711:Web server:/srv/people/web:/bin/sh\nweb adm ops\n");
    EXPECT_EQ(in_guest("getent group ops"), "ops:x:4242:web\n");
    EXPECT_THAT(in_guest("grep ^web: /etc/shadow"), HasSubstr("web:$6$salt$hash:"));
    EXPECT_THAT(in_guest("grep ^daemon2: /etc/shadow"), HasSubstr("daemon2:!:"));
    EXPECT_EQ(in_guest("cd /srv/people/web/.ssh && stat -c '%U:%G %a' . authorized_keys && cat authorized_keys"),
              "web:web 700\nweb:web 600\nssh-ed25519 AAAA a\nssh-ed25519 BBBB b\n");
    EXPECT_EQ(in_guest("stat -c %a /etc/sudoers.d/90-kiln-web; test -e /home/daemon2 || echo none"), "440\nnone\n");
    EXPECT_THAT(failure_of(recipes::GroupStep{.name = "adm", .gid = 4}), HasSubstr("no error"));
    EXPECT_THAT(failure_of(recipes::GroupStep{.name = "adm", .gid = 5}), HasSubstr("has the id 4, not 5"));
    EXPECT_THAT(failure_of(recipes::UserStep{.name = "web"}), HasSubstr("test.toml:7:1: user web: "));
}

TEST_F(StepsTest, FilesAndTreesArriveWithOwnersAndModes)
{
    apply(recipes::FileStep{.path = "/srv/a/b", .content = "text", .mode = 04750, .group = "adm"});
    EXPECT_EQ(in_guest("stat -c '%U:%G %a' /srv/a/b"), "root:adm 4750\n");
    EXPECT_THAT(failure_of(recipes::FileStep{.path = "/srv/x", .owner = "nobody-here"}),
                HasSubstr("the image has no user \"nobody-here\""));

    // Also below a link, and over a hostile one.
    in_guest("mkdir -p /srv/real && ln -s /srv/real /srv/www && ln -s /etc /srv/real/sub");
    write_file_durably(work() / "source", "page\n");
    using Entry = recipes::TreeStep::Entry;
    apply(recipes::TreeStep{.path = "/srv/www",
                            .entries = {{.path = "sub", .kind = Entry::Kind::folder, .mode = 0750},
                                        {.path = "sub/page",
                                         .source = work() / "source",
                                         .mode = 0640,
                                         .digest = digest_of("page\n"),
                                         .size = ByteSize(5)},
                                        {.path = "sub/to", .kind = Entry::Kind::link, .target = "page"}},
                            .group = "adm"});
    EXPECT_EQ(
        in_guest("cd /srv/real && stat -c '%n %F %U:%G %a' sub sub/page && cat sub/to && ls /etc/page 2>&1 || true"),
        "sub directory root:adm 750\nsub/page regular file root:adm 640\npage\n"
        "ls: cannot access '/etc/page': No such file or directory\n");
}

TEST_F(StepsTest, TheSystemIsConfigured)
{
    apply(recipes::HostnameStep{"web.example.org"});
    EXPECT_EQ(in_guest("cat /etc/hostname; grep 127.0.1.1 /etc/hosts"),
              "web.example.org\n127.0.1.1 web.example.org web\n");
    apply(recipes::TimezoneStep{"Europe/Berlin"});
    EXPECT_EQ(in_guest("date -d @0 +%Z; cat /etc/timezone"), "CET\nEurope/Berlin\n");
    EXPECT_THAT(failure_of(recipes::TimezoneStep{"Europe"}), HasSubstr("no time zone \"Europe\""));
    apply(recipes::LocaleStep{"C.UTF-8"});
    EXPECT_EQ(in_guest("cat /etc/default/locale"), "LANG=C.UTF-8\n");
    EXPECT_THAT(failure_of(recipes::LocaleStep{"de_DE.UTF-8"}), HasSubstr("add the package \"locales\""));
    apply(recipes::SysctlStep{{{"vm.swappiness", "10"}}});
    apply(recipes::SysctlStep{{{"net.ipv4.ip_forward", "1"}}});
    EXPECT_EQ(in_guest("cat /etc/sysctl.d/60-kiln-00.conf /etc/sysctl.d/60-kiln-01.conf"),
              "# Written by Kiln.\nvm.swappiness = 10\n# Written by Kiln.\nnet.ipv4.ip_forward = 1\n");
    apply(recipes::KernelModulesStep{.load = {"loop"}});
    EXPECT_EQ(in_guest("cat /etc/modules-load.d/kiln-00.conf"), "# Written by Kiln.\nloop\n");
    apply(recipes::ServiceStep{.name = "ssh", .state = recipes::ServiceStep::State::disabled});
    apply(recipes::ServiceStep{.name = "apt-daily.timer", .state = recipes::ServiceStep::State::masked});
    apply(recipes::ServiceStep{.name = "ssh", .drop_in = "[Service]\nNice=5\n"});
    EXPECT_EQ(in_guest("systemctl is-enabled ssh; systemctl is-enabled apt-daily.timer || true; "
                       "cat /etc/systemd/system/ssh.service.d/50-kiln-00.conf"),
              "enabled\nmasked\n# Written by Kiln.\n[Service]\nNice=5\n");
    EXPECT_THAT(failure_of(recipes::ServiceStep{.name = "no-such-thing"}), HasSubstr("no-such-thing"));
}

TEST_F(StepsTest, ACertificateAuthorityIsTrusted)
{
    run_or_throw({.argv = {"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", work() / "key.pem",
                           "-out", work() / "ca.pem", "-subj", "/CN=Kiln test authority", "-days", "30"}},
                 "making a certificate");
    apply(recipes::CertificateAuthorityStep{.name = "test-authority", .pem = read_file(work() / "ca.pem")});
    const std::string body = read_file(work() / "ca.pem").substr(28, 64);
    EXPECT_EQ(in_guest("grep -cF " + body + " /etc/ssl/certs/ca-certificates.crt"), "1\n");
}

TEST_F(StepsTest, ScriptsRunWhereAndHowTheRecipeSays)
{
    fs::remove(log());
    apply(recipes::RunStep{.script = "echo \"$GREETING from $PWD\"; echo err >&2; exit 3",
                           .environment = {{"GREETING", "it's"}},
                           .folder = "/usr",
                           .statuses = {0, 3}});
    EXPECT_EQ(text_of(log()), "it's from /usr\nerr\n");
    struct stat status {
    };
    ASSERT_EQ(::stat(log().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_THAT(failure_of(recipes::RunStep{.script = "echo words; exit 4"}),
                HasSubstr("status 4; its last output:\nwords"));
    EXPECT_THAT(failure_of(recipes::RunStep{.script = "sleep 60", .timeout = std::chrono::seconds(1)}),
                HasSubstr("did not end within 1 s"));
    // What it leaves behind is ended, and nothing of the machinery stays in the guest.
    apply(recipes::RunStep{.script = "setsid sleep 600 >/dev/null 2>&1 & sleep 1"});
    EXPECT_EQ(in_guest("grep -l -a 'sleep.600' /proc/[0-9]*/cmdline 2>/dev/null | grep -v $$ | wc -l"), "0\n");
    EXPECT_EQ(in_guest("ls -d /run/kiln-step /run/secrets 2>/dev/null | wc -l"), "0\n");
}

TEST_F(StepsTest, OnlyAStepThatAsksHasTheNetwork)
{
    const std::string script = "grep -c ^eth0 /proc/net/route || true";
    fs::remove(log());
    apply(recipes::RunStep{.script = script});
    EXPECT_EQ(text_of(log()), "0\n");
    fs::remove(log());
    apply(recipes::RunStep{.script = script, .network = true});
    EXPECT_EQ(text_of(log()), "2\n");
}

// Attack 36.
TEST_F(StepsTest, ASecretIsNowhereButInTheScriptsHands)
{
    fs::remove(log());
    std::atomic<bool> ended = false;
    std::atomic<int> looks = 0;
    std::atomic<bool> seen = false;
    std::thread watcher([&] {
        for (; !ended; ++looks) {
            std::error_code ignored;
            for (const fs::directory_entry& process : fs::directory_iterator("/proc", ignored)) {
                seen = seen || file_holds(process.path() / "cmdline", canary) ||
                       file_holds(process.path() / "environ", canary);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
    });
    const std::string error = failure_of(
        recipes::RunStep{.script = "stat -c %a /run/secrets /run/secrets/token; cat /run/secrets/token; sleep 2\n"
                                   "echo \"again: $(cat /run/secrets/token)\"; wc -c </run/secrets/token; false",
                         .secrets = {"token"}});
    ended = true;
    watcher.join();
    EXPECT_FALSE(seen);
    EXPECT_GT(looks, 10);
    EXPECT_THAT(error, HasSubstr("again: ***"));
    EXPECT_THAT(error, Not(HasSubstr(canary)));
    EXPECT_EQ(text_of(log()), "700\n400\n***\nagain: ***\n" + std::to_string(canary.size() + 1) + "\n");
    EXPECT_EQ(in_guest("ls /run/secrets 2>/dev/null | wc -l"), "0\n");

    // The control: what a script does write is found in the layer, by the same look.
    apply(recipes::FileStep{.path = "/srv/control", .content = "control-of-" + canary.substr(0, 11)});
    appliance_->unmount_all();
    const fs::path layer = server_->cut({work() / "top2.qcow2", work() / "small2.qcow2"}).at(0);
    EXPECT_TRUE(file_holds(layer, "control-of-" + canary.substr(0, 11)));
    EXPECT_FALSE(file_holds(layer, canary));
    appliance_->mount(std::string(root_partition_device), "/");
}

// Attack 35, on a disk of its own that is made by the guest's mkfs.
TEST_F(StepsTest, WhatSealingTakesIsNotInTheDisksBytes)
{
    appliance_->run({"mkfs.ext4", "-q", appliance_->device_in_guest(1)});
    appliance_->unmount_all();
    appliance_->mount("/dev/sdb", "/");
    const std::vector<std::string> gone = {"/etc/apt/auth.conf.d/private.conf",
                                           "/etc/ssh/ssh_host_ed25519_key",
                                           "/root/.bash_history",
                                           "/root/.ssh/known_hosts",
                                           "/real/home/alice/.bash_history",
                                           "/real/home/alice/.cache/pip/token",
                                           "/srv/app/.psql_history",
                                           "/var/log/service/access.log",
                                           "/var/log/syslog.1",
                                           "/var/lib/dhcp/dhclient.leases",
                                           "/var/lib/cloud/data/user-data",
                                           "/var/lib/systemd/random-seed",
                                           "/tmp/.hidden",
                                           "/deleted"};
    const auto write = [](const std::string& path, const std::string& content) {
        appliance_->make_directories(fs::path(path).parent_path());
        appliance_->write_file(path, content);
    };
    write("/etc/passwd", "app:x:1000:1000::/srv/app:/bin/sh\n");
    write("/etc/machine-id", canary + " machine\n");
    for (const std::string& path : gone) {
        write(path, canary + " of " + path + "\n");
    }
    appliance_->make_link("/real/home", "/home"); // absolute: to be resolved in the guest, not in the appliance
    const std::string own_key = "ssh-ed25519 AAAA alice\n";
    write("/root/.ssh/authorized_keys", "ssh-ed25519 " + canary + " kiln-launch-key i-0123456789abcdef0\n");
    write("/home/alice/.ssh/authorized_keys",
          own_key + "ssh-ed25519 " + canary + " kiln-launch-key i-0123456789abcdef0\n");
    write("/var/lib/dhcp/kept/lease", "kept lease");
    write("/var/log/kept.log", "kept log");
    write("/srv/data", "stays");
    appliance_->remove_recursively("/deleted");
    appliance_->unmount_all();
    const fs::path before = server_->cut({work() / "top3.qcow2", work() / "small3.qcow2"}).at(1);
    ASSERT_TRUE(file_holds(before, canary)); // the control

    appliance_->mount("/dev/sdb", "/");
    const std::vector<std::string> keep = {"/var/lib/dhcp/kept", "/var/log/kept.*"};
    seal(*appliance_, keep);
    for (const std::string& path : gone) {
        EXPECT_TRUE(!appliance_->exists(path) || appliance_->read_file(path).empty()) << path;
    }
    EXPECT_EQ(appliance_->read_file("/etc/machine-id"), "");
    EXPECT_EQ(appliance_->read_file("/home/alice/.ssh/authorized_keys"), own_key);
    EXPECT_EQ(appliance_->read_file("/var/lib/dhcp/kept/lease"), "kept lease");
    EXPECT_EQ(appliance_->read_file("/var/log/kept.log"), "kept log");
    EXPECT_EQ(appliance_->read_file("/srv/data"), "stays");
    appliance_->shutdown();
    server_->write_layer(1, 0, work() / "sealed.qcow2", {});
    run_or_throw(
        {.argv = {"qemu-img", "convert", "-f", "qcow2", "-O", "raw", work() / "sealed.qcow2", work() / "sealed.raw"}},
        "reading the sealed disk");
    EXPECT_TRUE(file_holds(work() / "sealed.raw", "kept lease"));
    EXPECT_FALSE(file_holds(work() / "sealed.raw", canary));
}

} // namespace
} // namespace kiln::builder
