// SPDX-License-Identifier: Apache-2.0
// Runs in a restored appliance before anything else does: wake SECONDS NANOSECONDS SEED [LABEL...]
// SEED is 64 fresh bytes in hexadecimal. Without them, and without the reseed, every restored appliance would go on
// with the same random numbers. The disks are looked for one by one, so that the first is /dev/sda whatever the kernel
// does at once, while udev makes the names below /dev/disk/guestfs of those that are there.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace
{

constexpr int seed_bytes = 64;
constexpr timespec poll_interval{0, 2'000'000};
constexpr int most_polls = 5000; // 10 s

[[noreturn]] void die(const char* doing)
{
    (void)std::fprintf(stderr, "%s: %s\n", doing, std::strerror(errno));
    std::exit(1);
}

void set_clock(const char* seconds, const char* nanoseconds)
{
    const timespec now{std::strtoll(seconds, nullptr, 10), std::strtol(nanoseconds, nullptr, 10)};
    if (::clock_settime(CLOCK_REALTIME, &now) != 0) {
        die("setting the clock");
    }
}

// RNDADDENTROPY alone only feeds the pool: what /dev/urandom gives changes with the next reseed.
void reseed(const char* seed)
{
    struct {
        int bits = seed_bytes * 8;
        int size = seed_bytes;
        unsigned char bytes[seed_bytes] = {};
    } entropy; // struct rand_pool_info with its buffer
    for (unsigned char& byte : entropy.bytes) {
        const char digits[3] = {seed[0], seed[1], '\0'};
        char* end = nullptr;
        byte = static_cast<unsigned char>(std::strtoul(digits, &end, 16));
        if (end != digits + 2) {
            errno = EINVAL;
            die("reading the seed");
        }
        seed += 2;
    }
    const int random = ::open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    if (random < 0 || ::ioctl(random, RNDADDENTROPY, &entropy) != 0 || ::ioctl(random, RNDRESEEDCRNG) != 0) {
        die("reseeding");
    }
    ::close(random);
}

// The number of the virtio SCSI host; the chipset's IDE channels are SCSI hosts too.
int find_scsi_host()
{
    for (int host = 0; host < 16; ++host) {
        char path[64];
        char name[64] = {};
        (void)std::snprintf(path, sizeof path, "/sys/class/scsi_host/host%d/proc_name", host);
        const int file = ::open(path, O_RDONLY | O_CLOEXEC);
        if (file >= 0 && ::read(file, name, sizeof name - 1) > 0 && std::strncmp(name, "virtio_scsi", 11) == 0) {
            ::close(file);
            return host;
        }
        ::close(file);
    }
    errno = ENODEV;
    die("finding the SCSI host");
}

template <typename Done> void wait_until(const Done& done, const char* doing)
{
    for (int i = 0; i < most_polls; ++i) {
        if (done()) {
            return;
        }
        (void)::nanosleep(&poll_interval, nullptr);
    }
    errno = ETIMEDOUT;
    die(doing);
}

// Returns when the kernel has given the disk its name.
void find_disk(int host, int target)
{
    char path[96];
    char where[32];
    (void)std::snprintf(path, sizeof path, "/sys/class/scsi_host/host%d/scan", host);
    (void)std::snprintf(where, sizeof where, "0 %d 0", target);
    const int scan = ::open(path, O_WRONLY | O_CLOEXEC);
    if (scan < 0 || ::write(scan, where, std::strlen(where)) < 0) {
        die("looking for a disk");
    }
    ::close(scan);
    (void)std::snprintf(path, sizeof path, "/sys/class/scsi_device/%d:0:%d:0/device/block/sd%c", host, target,
                        'a' + target);
    wait_until([&] { return ::access(path, F_OK) == 0; }, "waiting for a disk");
}

void wait_for_label(int target, const char* label)
{
    char wanted[16];
    char path[64];
    (void)std::snprintf(wanted, sizeof wanted, "../../sd%c", 'a' + target);
    (void)std::snprintf(path, sizeof path, "/dev/disk/guestfs/%s", label);
    wait_until(
        [&] {
            char link[64] = {};
            if (::readlink(path, link, sizeof link - 1) <= 0) {
                return false;
            }
            if (std::strcmp(link, wanted) != 0) {
                (void)std::fprintf(stderr, "the disk %s is %s, not %s\n", label, link, wanted);
                std::exit(1);
            }
            return true;
        },
        "waiting for a disk's name");
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 4 || std::strlen(argv[3]) != std::size_t{2} * seed_bytes) {
        errno = EINVAL;
        die("wake SECONDS NANOSECONDS SEED [LABEL...]");
    }
    set_clock(argv[1], argv[2]);
    reseed(argv[3]);
    for (int i = 4; i < argc; ++i) {
        find_disk(find_scsi_host(), i - 4);
    }
    for (int i = 4; i < argc; ++i) {
        wait_for_label(i - 4, argv[i]);
    }
    std::puts("awake");
    return 0;
}
