// SPDX-License-Identifier: Apache-2.0
#include "launcher/confinement.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

constexpr rlim_t most_open_files = 8192; // of QEMU with 100 disks; a helper sets a lower one itself
constexpr int capabilities_end = 64;     // the kernel refuses those that it does not know

// Before another user is become, which ends the right to.
bool bound_capabilities_to(int kept) noexcept
{
    for (int capability = 0; capability < capabilities_end; ++capability) {
        if (capability != kept && ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1 &&
            ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
            return false;
        }
    }
    return true;
}

bool drop_capabilities_but(int kept) noexcept
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct left[_LINUX_CAPABILITY_U32S_3]{};
    if (kept >= 0) {
        left[kept / 32].permitted = left[kept / 32].effective = 1U << (kept % 32);
    }
    return ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 && ::syscall(SYS_capset, &header, left) == 0;
}

bool join_cgroup(const char* folder) noexcept
{
    const int directory = ::open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int file = ::openat(directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    const bool joined = file >= 0 && ::write(file, "0", 1) == 1; // the writer itself (cgroups(7))
    ::close(file);
    ::close(directory);
    return joined;
}

} // namespace

Confinement confinement_of(const Paths& paths)
{
    Confinement confinement;
    if (::geteuid() != 0) {
        return confinement;
    }
    struct stat status {
    };
    if (::stat(paths.home.c_str(), &status) != 0 || status.st_uid != 0) {
        confinement.kept = fmt::format("{} belongs to another user", paths.home.native());
        return confinement;
    }
    confinement.drop_capabilities = true;
    return confinement;
}

Confinement helper_confinement(const Paths& paths, bool in_vpc)
{
    Confinement confinement = confinement_of(paths);
    confinement.kept_capability = in_vpc ? CAP_SETFCAP : -1;
    return confinement;
}

bool confine_this_process(const Confinement& confinement) noexcept
{
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max > most_open_files) {
        files = {most_open_files, most_open_files};
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
    if (!confinement.cgroup.empty() && !join_cgroup(confinement.cgroup.c_str())) {
        return false;
    }
    if (confinement.drop_capabilities && !bound_capabilities_to(confinement.kept_capability)) {
        return false;
    }
    if (confinement.user && !become(*confinement.user)) {
        return false;
    }
    if (confinement.drop_capabilities && !drop_capabilities_but(confinement.kept_capability)) {
        return false;
    }
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

} // namespace kiln::launcher
