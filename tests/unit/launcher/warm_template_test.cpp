// SPDX-License-Identifier: Apache-2.0
// Templates of warm launches: which fits, which is believed, and the memory's file.
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "launcher/qemu_command.h"
#include "launcher/warm/clone_disks.h"
#include "launcher/warm/guest_memory.h"
#include "launcher/warm/template_choice.h"
#include "launcher/warm/template_making.h"
#include "launcher/warm/template_memory.h"
#include "tests/unit/launcher/fixtures.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <functional>
#include <sys/mman.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string qemu = "/usr/bin/qemu 1 2";

class Templates : public testing::Test
{
protected:
    Templates() : paths(paths_in(home.path())), trust(home.path() / "trust"), instance(small_instance(files()))
    {
        trust.trust(account, key.public_key());
    }
    [[nodiscard]] InstancePaths files() const { return {paths, "i-0123456789abcdef0"}; }

    // A finished template for `instance`, as this host would make it.
    WarmTemplate make()
    {
        WarmTemplate one;
        one.shape = shape_of(instance, find_qemu_identity());
        one.id = template_id_of(one.shape);
        one.account = account;
        one.region = "local";
        one.image_id = instance.image_id;
        one.made = "2026-11-26T08:00:00Z";
        one.instance_id = "i-0000000000000000f";
        one.ready = "running";
        one.host_key_types = {"ed25519"};
        const fs::path folder = templates_folder(paths) / one.id;
        make_directories(folder, 0700);
        for (const char* name : {"ram", "state", "disk0.qcow2"}) {
            write_file_durably(folder / name, std::string("content of ") + name, 0600);
            const FileDescriptor fd(::open((folder / name).c_str(), O_RDONLY | O_CLOEXEC));
            const ByteSize size(fs::file_size(folder / name));
            one.files.push_back({name, size, digest_of_sparse_file(fd.get(), size, name)});
        }
        write_template_record(folder, one, key);
        return one;
    }
    [[nodiscard]] std::optional<WarmLaunch> choice(bool cold = false, bool has_volumes = false) const
    {
        return choose_template(paths, instance, has_volumes, account,
                               {.trust = trust, .record = nullptr, .cold = cold});
    }

    const test::TemporaryFolder home;
    const Paths paths;
    const std::string account = "123456789012";
    const signing::SecretKey key = signing::SecretKey::generate();
    const signing::TrustStore trust;
    Instance instance;
};

TEST_F(Templates, TwoInstancesOfOneShapeDifferInNothing)
{
    const TemplateShape one = shape_of(instance, qemu);
    Instance other = instance;
    other.id = "i-fedcba9876543210f";
    other.name.reset();
    other.ssh_key = "/elsewhere";
    other.key_name = "mine";
    other.disks[0].overlay = "/elsewhere";
    other.launched = "2027-01-01T00:00:00Z";
    EXPECT_THAT(differences(one, shape_of(other, qemu)), IsEmpty());
    EXPECT_EQ(template_id_of(one), template_id_of(shape_of(other, qemu)));
    EXPECT_EQ(to_json(shape_from_json(to_json(one))), to_json(one));
}

TEST_F(Templates, WhatDoesNotFitIsSaid)
{
    const TemplateShape one = shape_of(instance, qemu);
    const auto differs = [&](const std::function<void(Instance&)>& change, const std::string& on = qemu) {
        Instance other = instance;
        change(other);
        const TemplateShape wanted = shape_of(other, on);
        EXPECT_NE(template_id_of(one), template_id_of(wanted));
        return differences(one, wanted);
    };
    EXPECT_THAT(differs([](Instance& other) { other.memory = gibibytes(4); }),
                ElementsAre("it is for a t3.small with 2 vCPUs and 2 GiB, not a t3.small with 2 vCPUs and 4 GiB"));
    EXPECT_THAT(differs([](Instance& other) { other.vcpus = 1; }),
                ElementsAre(HasSubstr("not a t3.small with 1 vCPU")));
    EXPECT_THAT(differs([](Instance& other) { other.image_manifest = "sha256:other"; }),
                ElementsAre("it is of another AMI"));
    EXPECT_THAT(differs([](Instance& other) { other.disks[0].size = gibibytes(8); }),
                ElementsAre("its volumes have other sizes"));
    EXPECT_THAT(differs([](Instance& other) { other.accelerator = Accelerator::kvm; }),
                ElementsAre("it was made with tcg, and this host has kvm"));
    EXPECT_THAT(differs([](Instance&) {}, "/usr/bin/qemu 1 3"), ElementsAre("it was made with another QEMU"));
    EXPECT_THAT(differs([](Instance& other) { other.boot_mode = "uefi"; }), ElementsAre("it has another machine type"));
}

TEST_F(Templates, NoneIsNoReasonToSayAnything)
{
    EXPECT_FALSE(choice());
}

TEST_F(Templates, OneThatFitsIsUsed)
{
    const WarmTemplate one = make();
    const auto warm = choice();
    ASSERT_TRUE(warm);
    EXPECT_TRUE(warm->launched_warm) << warm->reason;
    EXPECT_EQ(warm->start, WarmLaunch::Start::clone);
    EXPECT_EQ(warm->template_id, one.id);
    EXPECT_EQ(warm->ready, "running");
    EXPECT_EQ(choice(true)->reason, "a cold launch was asked for");
    EXPECT_EQ(warm->memory, one.digest_of("ram").to_string());
    EXPECT_EQ(choice(false, true)->reason, "it has volumes, and no template has");
    instance.network = "vpc"; // on QEMU's command line it is the same
    EXPECT_EQ(choice()->reason, "it is in the network \"vpc\", and templates are for \"user\"");
    instance.network = "user";
    instance.memory = gibibytes(4);
    EXPECT_THAT(choice()->reason, HasSubstr("the template does not fit: it is for a t3.small"));
}

TEST_F(Templates, OneThatWasChangedIsNot)
{
    const WarmTemplate one = make();
    const fs::path folder = templates_folder(paths) / one.id;
    write_file_durably(folder / "ram", "content of rbm", 0600);
    EXPECT_THAT(choice()->reason, HasSubstr("has other content than its digest says"));
    write_file_durably(folder / "ram", "content", 0600);
    EXPECT_THAT(choice()->reason, HasSubstr("has 7 bytes instead of 14"));
    fs::remove(folder / "ram");
    fs::create_symlink("/dev/zero", folder / "ram");
    EXPECT_THAT(choice()->reason, HasSubstr("opening"));
}

TEST_F(Templates, OneThatNobodyTrustedSignedIsNot)
{
    WarmTemplate one = make();
    const fs::path folder = templates_folder(paths) / one.id;
    write_template_record(folder, one, signing::SecretKey::generate());
    EXPECT_THAT(choice()->reason, HasSubstr("not signed by a trusted key of account 123456789012"));
    one.account = "210987654321"; // and the key is this account's all the same
    write_template_record(folder, one, key);
    EXPECT_THAT(choice()->reason, HasSubstr("of another account"));
}

TEST_F(Templates, AHostileRecordIsNoTemplate)
{
    WarmTemplate one = make();
    for (const char* name : {"../../trust/key", "disk1.qcow2", "template.json", ""}) {
        one.files[2].name = name;
        EXPECT_THROW(static_cast<void>(template_from_json(to_json(one))), Error) << name;
    }
    one = make();
    one.files[2].name = "ram";
    EXPECT_THROW(static_cast<void>(template_from_json(to_json(one))), Error);
    one = make();
    one.host_key_types = {"-oProxyCommand=x"};
    EXPECT_THROW(static_cast<void>(template_from_json(to_json(one))), Error);
    one = make();
    one.id = std::string(24, '0');
    EXPECT_THROW(static_cast<void>(template_from_json(to_json(one))), Error);
    EXPECT_THROW(remove_template(paths, "../regions"), Error);
}

TEST_F(Templates, AreListedAndRemoved)
{
    const WarmTemplate one = make();
    make_directories(templates_folder(paths) / std::string(24, 'a'), 0700); // a removal that was killed
    ASSERT_EQ(list_templates(paths).size(), 1U);
    EXPECT_EQ(to_json(list_templates(paths)[0]), to_json(one));
    remove_template(paths, one.id);
    EXPECT_THAT(list_templates(paths), IsEmpty());
    EXPECT_FALSE(fs::exists(templates_folder(paths) / one.id));
    remove_template(paths, one.id);
}

TEST_F(Templates, OneThatWasNotFinishedLeavesNothing)
{
    fs::path folder;
    {
        TemplateMaking making(paths);
        folder = making.folder();
        EXPECT_FALSE(is_abandoned_folder(folder));
        write_file_durably(folder / "ram", "half of it");
        EXPECT_THROW(static_cast<void>(making.finish({.key = key, .trust = trust})), Error) << "it was not saved";
        EXPECT_THROW(making.save(instance, "maintenance", {}), Error);
    }
    EXPECT_TRUE(is_abandoned_folder(folder));
    EXPECT_FALSE(fs::exists(folder));
    EXPECT_THAT(list_templates(paths), IsEmpty());
}

TEST_F(Templates, ADiskIsCopiedForThisUserAlone)
{
    write_file_durably(home.path() / "disk0.qcow2", "written by a boot", 0666);
    copy_disk(home.path() / "disk0.qcow2", home.path() / "copy");
    EXPECT_EQ(read_file(home.path() / "copy"), "written by a boot");
    EXPECT_EQ(fs::status(home.path() / "copy").permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_THROW(copy_disk(home.path() / "disk0.qcow2", home.path() / "copy"), Error) << "it is there";
    EXPECT_THROW(copy_disk(home.path() / "none", home.path() / "other"), Error);
    fs::create_symlink("copy", home.path() / "link");
    EXPECT_THROW(copy_disk(home.path() / "link", home.path() / "third"), Error);
}

TEST_F(Templates, ACloneMapsTheMemoryPrivatelyAndWaitsForTheState)
{
    instance.warm = WarmLaunch{.start = WarmLaunch::Start::clone, .folder = "/home/warm,1"};
    const std::vector<std::string> argv = qemu_argv(instance, files());
    EXPECT_THAT(argv, Contains("memory-backend-file,id=memory,size=2048M,mem-path=/home/warm,,1/ram,share=off"));
    EXPECT_THAT(argv, Contains("pc-q35-7.2,memory-backend=memory"));
    EXPECT_THAT(argv, Contains("-S"));
    EXPECT_THAT(argv, Contains("defer"));
    instance.warm->start = WarmLaunch::Start::making_template;
    EXPECT_THAT(qemu_argv(instance, files()),
                Contains("memory-backend-file,id=memory,size=2048M,mem-path=/home/warm,,1/ram,share=on"));
    instance.warm->start = WarmLaunch::Start::cold; // stopped and started
    Instance never = instance;
    never.warm.reset();
    EXPECT_EQ(qemu_argv(instance, files()), qemu_argv(never, files()));
    EXPECT_EQ(to_json(instance_from_json(to_json(instance))), to_json(instance));
}

TEST(SparseDigest, DoesNotDependOnHoles)
{
    const test::TemporaryFolder folder;
    const ByteSize size = mebibytes(40);
    const auto digest = [&](const char* name) {
        const FileDescriptor fd(::open((folder.path() / name).c_str(), O_RDONLY | O_CLOEXEC));
        return digest_of_sparse_file(fd.get(), size, name);
    };
    std::string content(size.bytes(), '\0');
    content[mebibytes(33).bytes()] = 'x';
    write_file_durably(folder.path() / "dense", content);
    write_file_durably(folder.path() / "sparse", "");
    fs::resize_file(folder.path() / "sparse", size.bytes());
    const FileDescriptor sparse(::open((folder.path() / "sparse").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::pwrite(sparse.get(), "x", 1, static_cast<off_t>(mebibytes(33).bytes())), 1);
    EXPECT_EQ(digest("dense"), digest("sparse"));
    ASSERT_EQ(::pwrite(sparse.get(), "y", 1, 7), 1);
    EXPECT_NE(digest("dense"), digest("sparse"));
}

class Memory : public ::testing::Test
{
protected:
    void put(std::size_t at, std::string_view text)
    {
        wanted.replace(at, text.size(), text);
        ASSERT_EQ(::pwrite(memory.get(), text.data(), text.size(), static_cast<off_t>(at)),
                  static_cast<ssize_t>(text.size()));
    }
    void fill()
    {
        put(0, "first");
        put(4096 * 3 + 4090, "over the edge of a page");
        put(mebibytes(2).bytes(), std::string(20000, '\0')); // pages that are there, and zero
        put(size.bytes() - 4, "last");
        write_memory_image(memory, size, folder.path() / "ram");
        image = FileDescriptor(::open((folder.path() / "ram").c_str(), O_RDONLY | O_CLOEXEC));
    }
    static ino_t inode_of(const FileDescriptor& file)
    {
        struct stat status {
        };
        EXPECT_EQ(::fstat(file.get(), &status), 0);
        return status.st_ino;
    }

    const test::TemporaryFolder folder;
    const Paths paths = [this] {
        Paths made;
        made.run = folder.path();
        return made;
    }();
    const ByteSize size = mebibytes(8);
    FileDescriptor memory = make_guest_memory(size);
    std::string wanted = std::string(size.bytes(), '\0');
    FileDescriptor image;
};

TEST_F(Memory, SavedHasAllThatIsNotZero)
{
    fill();
    EXPECT_TRUE(read_file(folder.path() / "ram") == wanted);
    EXPECT_LE(allocated_size(folder.path() / "ram"), ByteSize(4 * 4096));
    EXPECT_THROW(write_memory_image(memory, size, folder.path() / "ram"), Error) << "it is there";
    EXPECT_NE(::ftruncate(memory.get(), 4096), 0) << "a QEMU could take it from under the others";
}

TEST_F(Memory, OfATemplateIsTheSameFileForAllWhoHaveIt)
{
    fill();
    const FileDescriptor first = share_template_memory(paths, digest_of("it"), image, size);
    EXPECT_TRUE(read_at(first.get(), 0, size.bytes(), "reading") == wanted);
    {
        const FileDescriptor second = share_template_memory(paths, digest_of("it"), image, size);
        EXPECT_EQ(inode_of(first), inode_of(second));
    }
    EXPECT_NE(inode_of(first), inode_of(share_template_memory(paths, digest_of("another"), image, size)));
}

// As QEMU, another user, opens it: for writing. It can change its own pages and nobody else's.
TEST_F(Memory, OfATemplateIsNobodysToChange)
{
    fill();
    const FileDescriptor shared = share_template_memory(paths, digest_of("it"), image, size);
    const FileDescriptor opened(::open(fmt::format("/proc/self/fd/{}", shared.get()).c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(opened);
    EXPECT_EQ(::pwrite(opened.get(), "x", 1, 0), -1);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, opened.get(), 0), MAP_FAILED);
    void* own = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, opened.get(), 0);
    ASSERT_NE(own, MAP_FAILED);
    *static_cast<char*>(own) = 'x';
    ::munmap(own, 4096);
    EXPECT_TRUE(read_at(shared.get(), 0, size.bytes(), "reading") == wanted);
}

// A list of before a crash, or of a pid that is another process's by now.
TEST_F(Memory, OfATemplateIsLoadedAnewWhereTheListIsWrong)
{
    fill();
    const std::filesystem::path list =
        folder.path() / fmt::format("template-{}.json", digest_of("it").hex().substr(0, 24));
    for (const std::string& text :
         {std::string("[{\"pid\":"), std::string("{}"),
          fmt::format(R"([{{"pid":1,"descriptor":0,"inode":1}},{{"pid":{},"descriptor":{},"inode":{}}}])", ::getpid(),
                      memory.get(), inode_of(memory))}) { // which is not sealed
        write_file_durably(list, text);
        const FileDescriptor loaded = share_template_memory(paths, digest_of("it"), image, size);
        EXPECT_TRUE(is_sealed_memory(loaded, size));
        EXPECT_TRUE(read_at(loaded.get(), 0, size.bytes(), "reading") == wanted);
    }
}

} // namespace
} // namespace kiln::launcher
