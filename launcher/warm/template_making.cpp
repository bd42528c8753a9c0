// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/template_making.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/packed_image.h"
#include "core/text.h"
#include "core/timestamp.h"
#include "launcher/control.h"
#include "launcher/guest.h"
#include "launcher/guest_files.h"
#include "launcher/instance_store.h"
#include "launcher/life/removal.h"
#include "launcher/warm/clone_agent_program.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds save_limit{600};
constexpr std::string_view save_answer = "the supervisor's answer";

// An instance that is ended and forgotten, whatever happens.
class PassingInstance
{
public:
    PassingInstance(const Paths& paths, Instance instance) : paths_(paths), instance_(std::move(instance)) {}
    PassingInstance(const PassingInstance&) = delete;
    PassingInstance& operator=(const PassingInstance&) = delete;
    ~PassingInstance()
    {
        try {
            discard(paths_, instance_.id);
        } catch (const std::exception& error) {
            fmt::print(stderr, "kiln: {} could not be removed: {}\n", instance_.id, error.what());
        }
    }
    [[nodiscard]] const Instance& get() const noexcept { return instance_; }

private:
    const Paths& paths_;
    Instance instance_;
};

LaunchRequest launch_request(const TemplateRequest& request, const fs::path& folder)
{
    LaunchRequest launch;
    launch.type = request.type;
    launch.accelerator = request.accelerator;
    launch.keep_volumes = false; // a template's disks are copied
    launch.account_id = request.account_id;
    launch.account_key = request.owner.key;
    launch.template_folder = folder;
    return launch;
}

void run_in_template(const Paths& paths, const Instance& instance, const std::vector<std::string>& argv,
                     const std::stop_token& stop)
{
    const ExecResult result = exec(paths, instance, argv, {}, seconds(60), stop);
    if (result.status != 0) {
        throw Error(ErrorKind::launch, fmt::format("in the guest, {} failed: {}", argv.at(0),
                                                   tail_in_one_line(result.errors + result.output, 2)));
    }
}

void put_agent_into(const Paths& paths, const Instance& instance, const std::stop_token& stop)
{
    const std::string folder = fs::path(clone_agent_path).parent_path();
    run_in_template(paths, instance, {"mkdir", "-p", folder}, stop);
    run_in_template(paths, instance, {"mount", "-t", "tmpfs", "-o", "mode=0755,nosuid,nodev", "kiln", folder}, stop);
    const fs::path copy = instance.warm->folder / "clone-agent";
    write_file_durably(copy, clone_agent_program(), 0600);
    const FileDescriptor program(::open(copy.c_str(), O_RDONLY | O_CLOEXEC));
    if (!program) {
        throw system_error(errno, fmt::format("opening {}", copy.native()));
    }
    copy_to_guest(paths, instance, program.get(), clone_agent_path, 0755, stop);
    fs::remove(copy);
}

std::string public_key_line(const Instance& instance)
{
    std::string line = read_file(instance.ssh_key.native() + ".pub", mebibytes(1));
    line.erase(line.find_last_not_of(" \r\n") + 1);
    return line;
}

// `saved` is the supervisor's answer. The files come later.
WarmTemplate describe(const Instance& instance, const std::string& ready, const Json& saved)
{
    WarmTemplate one;
    one.shape = shape_of(instance, find_qemu_identity());
    one.id = template_id_of(one.shape);
    one.account = instance.account_id;
    one.region = instance.region;
    one.image_id = instance.image_id;
    one.image_name = instance.image_name;
    one.image_version = instance.image_version;
    one.instance_id = instance.id;
    one.launch_key = public_key_line(instance);
    one.ready = ready;
    one.host_key_types = member(saved, "host_key_types", save_answer).get<std::vector<std::string>>();
    one.cloud_init = bool_member(saved, "cloud_init", save_answer);
    return one;
}

// What is not packed yet; the guest has gone on long since.
void pack(const fs::path& folder, const std::string& name)
{
    const FileDescriptor fd(::open((folder / name).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", (folder / name).native()));
    }
    pack_image(fd.get(), ByteSize(fs::file_size(folder / name)), folder / packed_name(name));
}

std::vector<WarmTemplate::File> finish_files(const fs::path& folder, const TemplateShape& shape)
{
    std::vector<WarmTemplate::File> files;
    for (const std::string& name : template_files(shape.volumes.size())) {
        const bool packed = name == template_memory_file; // by the supervisor
        if (!packed) {
            pack(folder, name);
        }
        files.push_back({name, packed ? shape.memory : ByteSize(fs::file_size(folder / name))});
    }
    return files;
}

// The new one is there before those of the same shape and account go.
StoredTemplate attach(const fs::path& folder, const WarmTemplate& one, const TemplateOwner& owner)
{
    std::vector<fs::path> files;
    for (const WarmTemplate::File& file : one.files) {
        files.push_back(folder / packed_name(file.name));
    }
    registry::Artifact artifact = registry::attach_files(owner.region, owner.image, bundle::template_artifact_type,
                                                         to_json(one), files, owner.key);
    std::vector<std::string> ignored;
    const std::vector keys{owner.key.public_key()};
    for (const registry::Artifact& other : registry::find_artifacts(owner.region.layout(), owner.image.manifest,
                                                                    bundle::template_artifact_type, keys, ignored)) {
        if (other.manifest != artifact.manifest && other.description.value("template_id", "") == one.id) {
            registry::detach_artifact(owner.region, other.manifest);
        }
    }
    return {one, std::move(artifact)};
}

} // namespace

TemplateMaking::TemplateMaking(const Paths& paths) : paths_(paths), work_(paths.work, "template-")
{
    end_abandoned_templates(paths);
}

void TemplateMaking::save(const Instance& instance, const std::string& ready, const std::stop_token& stop)
{
    if (ready == "maintenance") {
        throw Error(ErrorKind::launch, R"(the guest did not boot: systemd says "maintenance")");
    }
    put_agent_into(paths_, instance, stop);
    const Json saved = ask_supervisor(paths_, instance.id, {{"request", "save-template"}}, save_limit, stop);
    template_ = describe(instance, ready, saved);
}

StoredTemplate TemplateMaking::finish(const TemplateOwner& owner)
{
    if (!template_) {
        throw Error(ErrorKind::internal, "a template is to be finished that was not saved");
    }
    WarmTemplate one = *std::exchange(template_, std::nullopt);
    one.made = iso_now();
    one.files = finish_files(folder(), one.shape);
    one.took = std::chrono::duration_cast<milliseconds>(Clock::now() - begun_);
    StoredTemplate stored = attach(folder(), one, owner);
    if (owner.record != nullptr) {
        // While the files are too young to be noted as verified (they could change once more within the time that a
        // file system tells apart), the next launch would read them all.
        std::this_thread::sleep_for(registry::VerificationRecord::settling_time + milliseconds(100));
        static_cast<void>(verify_template(owner.region.layout(), stored, owner.record));
    }
    return stored;
}

StoredTemplate make_template(const Paths& paths, const registry::VerifiedImage& image, const TemplateRequest& request,
                             Progress& progress, const std::stop_token& stop)
{
    TemplateMaking making(paths);
    {
        progress.stage(fmt::format("boot {}", image.image().id));
        const PassingInstance passing(paths,
                                      launch(paths, image, launch_request(request, making.folder()), stop).at(0));
        const std::string ready = wait_until_ready(paths, passing.get(), request.boot_limit, stop);
        progress.stage("save its memory and devices");
        making.save(passing.get(), ready, stop);
    }
    progress.stage("pack and sign");
    return making.finish(request.owner);
}

bool is_abandoned_folder(const fs::path& folder)
{
    const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return !fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0; // the lock goes with the descriptor
}

int end_abandoned_templates(const Paths& paths)
{
    int ended = 0;
    for (const Instance& instance : list_instances(paths)) {
        if (instance.warm && instance.warm->start == WarmLaunch::Start::making_template &&
            is_abandoned_folder(instance.warm->folder)) {
            discard(paths, instance.id);
            ++ended;
        }
    }
    return ended;
}

} // namespace kiln::launcher
