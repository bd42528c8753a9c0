// SPDX-License-Identifier: Apache-2.0
#include "builder/warm_template.h"

#include "builder/embedded_helpers.h"
#include "builder/guestfs_handle.h"
#include "builder/warm_launch.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/files.h"
#include "core/host_cpu.h"
#include "core/interrupt.h"
#include "core/process.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>

namespace kiln::builder
{
namespace fs = std::filesystem;
namespace
{

using Clock = std::chrono::steady_clock;

constexpr int template_format = 1; // raise it when the machine or the folder's files change
constexpr std::size_t kept_templates = 2;
constexpr ByteSize template_space = gibibytes(1);
constexpr std::chrono::seconds boot_limit{300}; // fifty times what it takes without KVM
constexpr std::chrono::seconds save_limit{60};
constexpr std::chrono::hours failure_counts{1};
constexpr const char* record_name = "template.json";
constexpr std::string_view failure_suffix = ".failed";
constexpr std::string_view qemu = "qemu-system-x86_64";
constexpr const char* package_database = "/var/lib/dpkg/status"; // supermin looks at its time, too

std::string identity_of(const fs::path& path)
{
    struct stat status {
    };
    if (::stat(path.c_str(), &status) != 0) {
        throw system_error(errno, fmt::format("looking at {}", path.native()));
    }
    return fmt::format("{} {} {}.{:09}", path.native(), status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

// The folder that supermin makes the appliance of.
fs::path find_parts(guestfs_h* handle)
{
    const char* path = guestfs_get_path(handle); // the handle's own
    std::string rest = path != nullptr ? path : "";
    for (std::size_t end = 0; end != std::string::npos;) {
        end = rest.find(':');
        fs::path parts = fs::path(rest.substr(0, end)) / "supermin.d";
        if (fs::is_directory(parts)) {
            return parts;
        }
        rest.erase(0, end == std::string::npos ? end : end + 1);
    }
    throw Error(ErrorKind::missing_tool, "libguestfs has no supermin.d to make its appliance of",
                "apt-get install libguestfs0");
}

std::string libguestfs_version(guestfs_h* handle)
{
    const std::unique_ptr<struct guestfs_version, decltype(&guestfs_free_version)> version(guestfs_version(handle),
                                                                                           guestfs_free_version);
    return version ? fmt::format("{}.{}.{}{}", version->major, version->minor, version->release, version->extra)
                   : "unknown";
}

// What the appliance boots from. The folder looks to libguestfs like a fixed appliance.
void make_parts(const fs::path& folder, const std::stop_token& stop)
{
    const GuestfsHandle handle = make_handle(Accelerator::tcg, false, folder.parent_path());
    run_or_throw({.argv = {"supermin", "--build", "--copy-kernel", "-f", "ext2", "--host-cpu", "x86_64",
                           find_parts(handle.get()).native(), "-o", folder.native()}},
                 "making libguestfs's appliance", stop);
    fs::permissions(folder, fs::perms::owner_all);
    write_file_durably(folder / "README.fixed", "A saved libguestfs appliance. Kiln makes it anew when it is gone.\n");
    write_file_durably(folder / "wrapper", qemu_wrapper_program(), 0700);
}

void boot_and_save(const WarmMachine& machine, const fs::path& work)
{
    const GuestfsHandle handle = make_handle(machine.accelerator, machine.network, work);
    guestfs_set_autosync(handle.get(), 0); // closing must not ask a machine that is saved for anything
    WarmLaunch launch(machine, work / "warm-save");
    {
        const ApplianceWatchdog watchdog(boot_limit);
        launch.start(handle.get());
        write_file_durably(work / "warm-save/wake", wake_program(), 0700);
        if (guestfs_debug_upload(handle.get(), (work / "warm-save/wake").c_str(), WarmLaunch::wake_path, 0755) == -1) {
            throw Error(ErrorKind::launch,
                        fmt::format("putting a program into the appliance: {}", last_error(handle.get())));
        }
        launch.wake(handle.get()); // what it needs is in memory then
    }
    const ApplianceWatchdog watchdog(save_limit);
    launch.save();
}

int memory_of(guestfs_h* handle)
{
    return guestfs_get_memsize(handle);
}

WarmMachine machine_for(const TemplateInputs& inputs, const fs::path& folder)
{
    return {.mode = WarmMachine::Mode::save,
            .qemu = find_program(qemu).value(),
            .folder = folder,
            .accelerator = inputs.accelerator,
            .cpus = inputs.cpus,
            .memory_mib = inputs.memory_mib,
            .network = inputs.network};
}

void make_template(const TemplateInputs& inputs, const fs::path& work, const fs::path& finished,
                   const std::stop_token& stop)
{
    const auto begun = Clock::now();
    require_free_space(work, template_space, "a warm libguestfs appliance");
    const fs::path folder = work / "warm-template";
    fs::remove_all(folder);
    make_parts(folder, stop);
    boot_and_save(machine_for(inputs, folder), work);
    for (const char* name : {"kernel", "initrd", "root", "ram", "state"}) {
        fs::permissions(folder / name, fs::perms::owner_read | fs::perms::owner_write);
        sync_file(folder / name);
    }
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
    write_file_durably(folder / record_name, Json{{"inputs", to_json(inputs)}, {"took_ms", took.count()}}.dump());
    fs::remove_all(finished); // one without a record
    if (::rename(folder.c_str(), finished.c_str()) != 0) {
        throw system_error(errno, fmt::format("renaming {} to {}", folder.native(), finished.native()));
    }
    sync_directory(finished.parent_path());
}

void remove_folder(const fs::path& folder) noexcept
{
    std::error_code ignored;
    fs::remove(folder / record_name, ignored); // without it nobody takes the rest for a template
    fs::remove_all(folder, ignored);
}

void remove_old_templates(const fs::path& cache)
{
    std::vector<std::pair<fs::file_time_type, fs::path>> templates;
    for (const fs::directory_entry& entry : fs::directory_iterator(cache)) {
        std::error_code gone;
        const auto used = fs::last_write_time(entry.path() / record_name, gone);
        if (entry.is_directory()) {
            templates.emplace_back(gone ? fs::file_time_type::min() : used, entry.path());
        } else if (entry.path().extension() == failure_suffix) {
            fs::remove(entry.path());
        }
    }
    std::ranges::sort(templates, std::greater{});
    for (std::size_t i = kept_templates; i < templates.size(); ++i) {
        remove_folder(templates[i].second);
    }
}

// Each try costs what a stock launch does, and one that failed is likely to fail again.
void throw_if_failed_lately(const fs::path& marker)
{
    std::error_code none;
    const auto failed = fs::last_write_time(marker, none);
    if (!none && fs::file_time_type::clock::now() - failed < failure_counts) {
        throw Error(ErrorKind::launch,
                    fmt::format("making a warm one failed within the last hour: {}", read_file(marker)),
                    fmt::format("to try again at once, remove {}", marker.native()));
    }
}

void make_template_or_mark(const TemplateInputs& inputs, const fs::path& work, const fs::path& finished,
                           const std::stop_token& stop)
{
    const fs::path marker = finished.native() + std::string(failure_suffix);
    throw_if_failed_lately(marker);
    try {
        make_template(inputs, work, finished, stop);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::no_space && error.kind() != ErrorKind::interrupted && !stop.stop_requested()) {
            write_file_durably(marker, error.message());
        }
        throw;
    }
}

// FileLock waits without noticing a stop.
FileLock lock_cache(const fs::path& cache, const std::stop_token& stop)
{
    for (;;) {
        throw_if_interrupted(stop);
        try {
            return {cache / "lock", FileLock::Wait::fail, "another process makes a warm appliance"};
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::conflict) {
                throw;
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

} // namespace

TemplateInputs find_template_inputs(Accelerator accelerator, bool network, const std::stop_token& stop)
{
    const auto program = find_program(qemu);
    const auto kernel = find_kernel();
    if (!program || !kernel) {
        throw Error(ErrorKind::missing_tool, "there is no QEMU, or no kernel that this user can read");
    }
    const GuestfsHandle handle = make_handle(accelerator, network, fs::temp_directory_path());
    TemplateInputs inputs{
        .qemu_version = run_or_throw({.argv = {program->native(), "--version"}}, "asking QEMU's version", stop),
        .qemu = identity_of(*program),
        .machine = std::string(warm_machine_type),
        .cpu = fmt::format("{} {}", warm_cpu_model(accelerator), host_cpu()),
        .accelerator = accelerator,
        .cpus = appliance_cpus,
        .memory_mib = memory_of(handle.get()),
        .network = network,
        .kernel = identity_of(*kernel),
        .libguestfs_version = libguestfs_version(handle.get()),
        .parts = {},
        .packages = fs::exists(package_database) ? identity_of(package_database) : "",
        .helpers = digest_of(fmt::format("{}{}", qemu_wrapper_program(), wake_program())).to_string()};
    for (const fs::directory_entry& part : fs::directory_iterator(find_parts(handle.get()))) {
        inputs.parts.push_back(identity_of(part.path()));
    }
    std::ranges::sort(inputs.parts);
    return inputs;
}

Json to_json(const TemplateInputs& inputs)
{
    return {{"format", template_format},
            {"qemu_version", inputs.qemu_version},
            {"qemu", inputs.qemu},
            {"machine", inputs.machine},
            {"cpu", inputs.cpu},
            {"accelerator", name_of(inputs.accelerator)},
            {"cpus", inputs.cpus},
            {"memory_mib", inputs.memory_mib},
            {"network", inputs.network},
            {"kernel", inputs.kernel},
            {"libguestfs_version", inputs.libguestfs_version},
            {"parts", inputs.parts},
            {"packages", inputs.packages},
            {"helpers", inputs.helpers}};
}

std::string template_key(const TemplateInputs& inputs)
{
    return digest_of(canonical_json(to_json(inputs))).hex().substr(0, 24);
}

std::optional<Template> find_template(const fs::path& cache, const TemplateInputs& inputs)
{
    const fs::path folder = cache / template_key(inputs);
    try {
        const std::string record = (folder / record_name).native();
        const Json json = parse_json(read_file(record), record);
        return Template{folder, std::chrono::milliseconds(integer_member(json, "took_ms", record))};
    } catch (const Error&) {
        return std::nullopt; // a cache that can't be read is a cache that isn't there
    }
}

Template ensure_template(const fs::path& cache, const TemplateInputs& inputs, const fs::path& work,
                         const std::stop_token& stop)
{
    make_directories(cache, 0700);
    auto found = find_template(cache, inputs);
    if (!found) {
        const FileLock lock = lock_cache(cache, stop);
        found = find_template(cache, inputs);
        if (!found) {
            make_template_or_mark(inputs, work, cache / template_key(inputs), stop);
            remove_old_templates(cache);
            found = find_template(cache, inputs);
        }
    }
    if (!found) {
        throw Error(ErrorKind::io, "the warm appliance is gone as soon as it was made");
    }
    ::utimensat(AT_FDCWD, (found->folder / record_name).c_str(), nullptr, 0); // used now
    return *found;
}

void remove_template(const fs::path& cache, const TemplateInputs& inputs) noexcept
{
    try {
        const FileLock lock(cache / "lock", FileLock::Wait::fail);
        remove_folder(cache / template_key(inputs));
    } catch (const Error&) { // whoever holds the lock makes it anew
    }
}

} // namespace kiln::builder
