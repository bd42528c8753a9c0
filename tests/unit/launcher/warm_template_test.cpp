// SPDX-License-Identifier: Apache-2.0
// Templates of warm launches: which fits, which is believed, and the memory's file.
#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/packed_image.h"
#include "core/qcow2_header.h"
#include "launcher/qemu_command.h"
#include "launcher/warm/clone_disks.h"
#include "launcher/warm/guest_memory.h"
#include "launcher/warm/template_choice.h"
#include "launcher/warm/template_making.h"
#include "launcher/warm/template_memory.h"
#include "registry/upkeep/collect.h"
#include "tests/unit/launcher/fixtures.h"
#include "tests/unit/registry/region_fixture.h"

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

class Templates : public test::RegionTest
{
protected:
    Templates() : paths(paths_in(temporary.path())), instance(small_instance(files()))
    {
        instance.account_id = account;
        instance.image_manifest = image.manifest.to_string();
    }
    [[nodiscard]] InstancePaths files() const { return {paths, "i-0123456789abcdef0"}; }

    // For `instance`, as this host would make it.
    [[nodiscard]] WarmTemplate description(const std::string& by) const
    {
        WarmTemplate one;
        one.shape = shape_of(instance, find_qemu_identity());
        one.id = template_id_of(one.shape);
        one.account = by;
        one.region = "local";
        one.image_id = image.id;
        one.made = "2026-11-26T08:00:00Z";
        one.instance_id = "i-0000000000000000f";
        one.ready = "running";
        one.host_key_types = {"ed25519"};
        one.files = {{"ram", instance.memory}, {"state", ByteSize(5)}, {"disk0.qcow2", ByteSize(5)}};
        return one;
    }
    registry::Artifact attach_described(const Json& described, const signing::SecretKey& signer)
    {
        std::vector<fs::path> packed;
        for (const char* name : {"ram", "state", "disk0.qcow2"}) {
            packed.push_back(temporary.path() / name);
            write_file_durably(packed.back(), std::string("content of ") + name + random_hex(8), 0600);
        }
        return registry::attach_files(region, image, bundle::template_artifact_type, described, packed, signer);
    }
    registry::Artifact make() { return attach_described(to_json(description(account)), key); }
    [[nodiscard]] std::optional<WarmLaunch> choice(bool cold = false, bool has_volumes = false) const
    {
        const auto chosen = choose_template(image, instance, has_volumes,
                                            {.region = region, .trust = trust, .record = nullptr, .cold = cold});
        EXPECT_EQ(chosen && chosen->verified, chosen && chosen->launch.launched_warm);
        return chosen ? std::optional(chosen->launch) : std::nullopt;
    }
    [[nodiscard]] std::vector<StoredTemplate> found(const std::vector<std::string>& accounts = {"123456789012"}) const
    {
        std::vector<std::string> faults;
        return find_templates(region.layout(), image.manifest, trust, accounts, faults);
    }
    [[nodiscard]] fs::path blob_of(const registry::Artifact& artifact, std::size_t file) const
    {
        return region.layout().blob_path(artifact.files.at(file).digest);
    }

    const std::string account = test::owner;
    const registry::Image image = publish("debian-12", {1, 0, 0});
    const Paths paths;
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
    make();
    const auto warm = choice();
    ASSERT_TRUE(warm);
    EXPECT_TRUE(warm->launched_warm) << warm->reason;
    EXPECT_EQ(warm->start, WarmLaunch::Start::clone);
    EXPECT_EQ(warm->template_id, description(account).id);
    EXPECT_EQ(warm->ready, "running");
    EXPECT_EQ(choice(true)->reason, "a cold launch was asked for");
    EXPECT_EQ(choice(false, true)->reason, "it has volumes, and no template has");
    instance.network = "none";
    EXPECT_EQ(choice()->reason, "it has the network \"none\", and a template's guest has a card");
    instance.network = "vpc"; // on QEMU's command line it is the same
    EXPECT_TRUE(choice()->launched_warm);
    instance.memory = gibibytes(4);
    EXPECT_THAT(choice()->reason, HasSubstr("the template does not fit: it is for a t3.small"));
}

TEST_F(Templates, OneThatWasChangedIsNot)
{
    const registry::Artifact artifact = make();
    const std::string content = read_file(blob_of(artifact, 0));
    overwrite(blob_of(artifact, 0), "C" + content.substr(1));
    EXPECT_THAT(choice()->reason, HasSubstr("the template was refused"));
    EXPECT_THAT(choice()->reason, HasSubstr("is damaged or was changed"));
    overwrite(blob_of(artifact, 0), "content");
    EXPECT_THAT(choice()->reason, HasSubstr("has 7 bytes instead of"));
    fs::remove(blob_of(artifact, 0));
    fs::create_symlink("/dev/zero", blob_of(artifact, 0));
    EXPECT_THAT(choice()->reason, HasSubstr("is not a regular file"));
    overwrite(region.layout().blob_path(artifact.manifest), "{}");
    EXPECT_THAT(choice()->reason, HasSubstr("the template was refused"));
}

// The files of one that is signed, with the description of another.
TEST_F(Templates, OneWhoseManifestNamesOtherFilesIsNot)
{
    const registry::Artifact artifact = make();
    std::vector<bundle::Descriptor> other = artifact.files;
    std::swap(other[1], other[2]);
    const auto& layout = region.layout();
    const auto manifest =
        layout.put(bundle::attached_oci_manifest(bundle::template_artifact_type,
                                                 {std::string(bundle::dsse_type), digest_of(artifact.envelope),
                                                  ByteSize(artifact.envelope.size())},
                                                 manifest_of(image), other),
                   bundle::oci_manifest_type);
    registry::detach_artifact(region, artifact.manifest);
    layout.add_to_index(manifest, bundle::template_artifact_type,
                        {{bundle::subject_annotation, image.manifest.to_string()}});
    EXPECT_THAT(choice()->reason, HasSubstr("names other files than were signed"));
}

TEST_F(Templates, OneOfNobodyThatIsTrustedIsNobodys)
{
    attach_described(to_json(description(account)), signing::SecretKey::generate());
    EXPECT_FALSE(choice());
    attach_described(to_json(description("210987654321")), key); // and the key is this account's all the same
    EXPECT_THAT(choice()->reason, HasSubstr("of another account"));
}

TEST_F(Templates, TheImagesOwnerMayMakeItForOthers)
{
    const signing::SecretKey other = signing::SecretKey::generate();
    trust.trust("210987654321", other.public_key());
    make();
    instance.account_id = "210987654321";
    EXPECT_TRUE(choice()->launched_warm);
    EXPECT_THAT(found({"210987654321"}), IsEmpty());
    attach_described(to_json(description("210987654321")), other);
    EXPECT_EQ(found({"210987654321", account, account}).size(), 2U);
    EXPECT_EQ(found({account}).size(), 1U) << "nobody else's";
}

TEST_F(Templates, OneOfAnotherImageIsNot)
{
    Json described = to_json(description(account));
    instance.image_manifest = publish("debian-12", {2, 0, 0}).manifest.to_string();
    described = to_json(description(account));
    attach_described(described, key);
    EXPECT_THAT(choice()->reason, HasSubstr("or another AMI"));
}

TEST_F(Templates, AHostileRecordIsNoTemplate)
{
    const WarmTemplate good = description(account);
    EXPECT_EQ(to_json(template_from_json(to_json(good))), to_json(good));
    const auto refused = [&](const std::function<void(WarmTemplate&)>& change) {
        WarmTemplate one = good;
        change(one);
        EXPECT_THROW(static_cast<void>(template_from_json(to_json(one))), Error);
    };
    for (const char* name : {"../../trust/key", "disk1.qcow2", "ram", ""}) {
        refused([&](WarmTemplate& one) { one.files[2].name = name; });
    }
    refused([](WarmTemplate& one) { one.files.pop_back(); });
    refused([](WarmTemplate& one) { one.files[0].size = gibibytes(64); });
    refused([](WarmTemplate& one) { one.files[1].size = gibibytes(64); });
    refused([](WarmTemplate& one) { one.files[2].size = gibibytes(64 * std::uint64_t{1024}); });
    refused([](WarmTemplate& one) { one.host_key_types = {"-oProxyCommand=x"}; });
    refused([](WarmTemplate& one) { one.id = std::string(24, '0'); });
}

TEST_F(Templates, AreDetachedAndCollected)
{
    const registry::Artifact artifact = make();
    const registry::CollectOptions options{.trust = trust, .layers_in_use = {}, .account = account};
    EXPECT_THAT(region.collect(options).blobs, IsEmpty());
    registry::detach_artifact(region, artifact.manifest);
    EXPECT_THAT(found(), IsEmpty());
    EXPECT_EQ(region.collect(options).blobs.size(), 4U) << "the files and the envelope";
    EXPECT_FALSE(fs::exists(blob_of(artifact, 0)));
    registry::detach_artifact(region, artifact.manifest);
    EXPECT_TRUE(registry::decide(region, image, trust, account).passed());
}

TEST_F(Templates, OfAnImageThatIsGoneAreCollected)
{
    const registry::Artifact artifact = make();
    change(image, registry::deregister());
    EXPECT_FALSE(region.collect({.trust = trust, .layers_in_use = {}, .account = account}).blobs.empty());
    EXPECT_FALSE(fs::exists(blob_of(artifact, 0)));
}

// A hostile disk makes the launch a cold one.
TEST_F(Templates, ACloneHasItsTemplatesDisk)
{
    const fs::path disk = temporary.path() / "disk";
    std::string reason;
    const auto clone_of = [&](const std::string& content, ByteSize virtual_size) {
        fs::remove(temporary.path() / "disk0.qcow2.zst");
        write_file_durably(disk, content);
        const FileDescriptor fd(::open(disk.c_str(), O_RDONLY | O_CLOEXEC));
        pack_image(fd.get(), ByteSize(content.size()), temporary.path() / "disk0.qcow2.zst");
        WarmTemplate one = description(account);
        one.files[2].size = ByteSize(content.size());
        const VerifiedTemplate verified = recorded_template(
            {{"template", to_json(one)}, {"files", {"ram", "state", (temporary.path() / "disk0.qcow2.zst").native()}}});
        EXPECT_EQ(to_json(recorded_template(to_json(verified))), to_json(verified));
        instance.disks[0].size = virtual_size;
        fs::remove_all(temporary.path() / "clone");
        fs::create_directories(temporary.path() / "clone");
        TemplateChoice choice;
        choice.verified = verified;
        make_disks(instance, temporary.path() / "clone", &choice, {});
        EXPECT_EQ(choice.verified.has_value(), choice.launch.reason.empty());
        reason = choice.launch.reason;
        return read_file(temporary.path() / "clone" / instance.disks[0].overlay.filename());
    };
    const std::string content = read_file(layer("what a boot wrote"));
    const ByteSize size =
        require_safe_qcow2(content.substr(0, qcow2_header_bytes), ByteSize(content.size())).virtual_size;
    EXPECT_EQ(clone_of(content, size), content);
    EXPECT_EQ(reason, "");
    const ByteSize larger = size + ByteSize(512);
    const std::string empty = clone_of(content, larger);
    EXPECT_THAT(reason, HasSubstr("the template was refused: the template's disk0.qcow2 is of another size"));
    EXPECT_EQ(require_safe_qcow2(empty, ByteSize(empty.size())).virtual_size, larger);
    clone_of(std::string(70000, 'x'), size);
    EXPECT_THAT(reason, HasSubstr("the template was refused"));
}

TEST_F(Templates, FromElsewhereAreAttachedWithFilesThatAreOneBlob)
{
    const registry::Artifact made = make();
    registry::detach_artifact(region, made.manifest);
    const fs::path folder = temporary.path() / "pulled";
    fs::create_directories(folder);
    fs::rename(blob_of(made, 0), folder / made.files[0].digest.hex()); // the others are in the region
    registry::attach_artifact(region, image, bundle::template_artifact_type, made, folder);
    EXPECT_TRUE(choice()->launched_warm);
    registry::detach_artifact(region, made.manifest);
    fs::remove(blob_of(made, 0));
    EXPECT_THROW(registry::attach_artifact(region, image, bundle::template_artifact_type, made, folder), Error);
    write_file_durably(folder / made.files[0].digest.hex(), "something else");
    EXPECT_THROW(registry::attach_artifact(region, image, bundle::template_artifact_type, made, folder), Error);
    EXPECT_FALSE(choice());
}

TEST_F(Templates, OneThatWasNotFinishedLeavesNothing)
{
    fs::path folder;
    {
        TemplateMaking making(paths);
        folder = making.folder();
        EXPECT_FALSE(is_abandoned_folder(folder));
        write_file_durably(folder / "ram", "half of it");
        EXPECT_THROW(static_cast<void>(making.finish({.region = region, .image = image, .key = key})), Error)
            << "it was not saved";
        EXPECT_THROW(making.save(instance, "maintenance", {}), Error);
    }
    EXPECT_TRUE(is_abandoned_folder(folder));
    EXPECT_FALSE(fs::exists(folder));
    EXPECT_THAT(found(), IsEmpty());
}

TEST_F(Templates, ADiskIsCopiedForThisUserAlone)
{
    write_file_durably(temporary.path() / "disk0.qcow2", "written by a boot", 0666);
    copy_disk(temporary.path() / "disk0.qcow2", temporary.path() / "copy");
    EXPECT_EQ(read_file(temporary.path() / "copy"), "written by a boot");
    EXPECT_EQ(fs::status(temporary.path() / "copy").permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_THROW(copy_disk(temporary.path() / "disk0.qcow2", temporary.path() / "copy"), Error) << "it is there";
    EXPECT_THROW(copy_disk(temporary.path() / "none", temporary.path() / "other"), Error);
    fs::create_symlink("copy", temporary.path() / "link");
    EXPECT_THROW(copy_disk(temporary.path() / "link", temporary.path() / "third"), Error);
}

TEST_F(Templates, ACloneMapsTheMemoryPrivatelyAndWaitsForTheState)
{
    instance.warm = WarmLaunch{.start = WarmLaunch::Start::clone};
    const std::vector<std::string> argv = qemu_argv(instance, files());
    EXPECT_THAT(argv, Contains("memory-backend-file,id=memory,size=2048M,mem-path=guest-memory,share=off"));
    EXPECT_THAT(argv, Contains("pc-q35-7.2,memory-backend=memory"));
    EXPECT_THAT(argv, Contains("-S"));
    EXPECT_THAT(argv, Contains("defer"));
    instance.warm->start = WarmLaunch::Start::making_template;
    EXPECT_THAT(qemu_argv(instance, files()),
                Contains("memory-backend-file,id=memory,size=2048M,mem-path=guest-memory,share=on"));
    instance.warm->start = WarmLaunch::Start::cold; // stopped and started
    Instance never = instance;
    never.warm.reset();
    EXPECT_EQ(qemu_argv(instance, files()), qemu_argv(never, files()));
    EXPECT_EQ(to_json(instance_from_json(to_json(instance))), to_json(instance));
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
        pack_image(memory.get(), size, folder.path() / "ram");
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

TEST_F(Memory, HasASizeThatNobodyChanges)
{
    EXPECT_NE(::ftruncate(memory.get(), 4096), 0) << "a QEMU could take it from under the others";
}

TEST_F(Memory, OfATemplateIsTheSameFileForAllWhoHaveIt)
{
    fill();
    const FileDescriptor first = share_template_memory(paths, "it", image, size);
    EXPECT_TRUE(read_at(first.get(), 0, size.bytes(), "reading") == wanted);
    {
        const FileDescriptor second = share_template_memory(paths, "it", image, size);
        EXPECT_EQ(inode_of(first), inode_of(second));
    }
    EXPECT_NE(inode_of(first), inode_of(share_template_memory(paths, "another", image, size)));
}

// As QEMU, another user, opens it: for writing. It can change its own pages and nobody else's.
TEST_F(Memory, OfATemplateIsNobodysToChange)
{
    fill();
    const FileDescriptor shared = share_template_memory(paths, "it", image, size);
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
    const std::filesystem::path list = folder.path() / "template-it.json";
    for (const std::string& text :
         {std::string("[{\"pid\":"), std::string("{}"),
          fmt::format(R"([{{"pid":1,"descriptor":0,"inode":1}},{{"pid":{},"descriptor":{},"inode":{}}}])", ::getpid(),
                      memory.get(), inode_of(memory))}) { // which is not sealed
        write_file_durably(list, text);
        const FileDescriptor loaded = share_template_memory(paths, "it", image, size);
        EXPECT_TRUE(is_sealed_memory(loaded, size));
        EXPECT_TRUE(read_at(loaded.get(), 0, size.bytes(), "reading") == wanted);
    }
}

} // namespace
} // namespace kiln::launcher
