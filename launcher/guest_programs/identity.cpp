// SPDX-License-Identifier: Apache-2.0
#include "launcher/guest_programs/identity.h"

#include "launcher/guest_programs/guest_system.h"
#include "launcher/guest_programs/network_address.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::guest
{
namespace
{

constexpr std::size_t seed_bytes = 64;
constexpr std::size_t random_seed_bytes = 512; // systemd-random-seed's own
const std::string cards = "/sys/class/net/";

const std::string& value_of(const launcher::CloneMessage& message, const char* name)
{
    const std::string* value = launcher::find_value(message, name);
    if (value == nullptr) {
        throw Failure{std::string("the host sent no ") + name};
    }
    return *value;
}

std::string without_line_end(std::string text)
{
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
        text.pop_back();
    }
    return text;
}

std::string random_bytes(std::size_t count)
{
    std::string bytes(count, '\0');
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(count)) {
        fail("drawing random bytes");
    }
    return bytes;
}

std::string hexadecimal(const std::string& bytes)
{
    constexpr const char* digits = "0123456789abcdef";
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += digits[byte >> 4U];
        text += digits[byte & 15U];
    }
    return text;
}

bool is_word(char c)
{
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
}

// `old` as a word of its own, nowhere else.
std::string with_word_replaced(std::string text, const std::string& old, const std::string& fresh)
{
    for (std::size_t at = 0; (at = text.find(old, at)) != std::string::npos;) {
        const std::size_t end = at + old.size();
        const bool whole = (at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]));
        if (whole) {
            text.replace(at, old.size(), fresh);
        }
        at += whole ? fresh.size() : 1;
    }
    return text;
}

void replace_in_file(const std::string& path, const std::string& old, const std::string& fresh)
{
    const auto before = read_file(path);
    if (!before || old.empty()) {
        return;
    }
    const std::string after = with_word_replaced(*before, old, fresh);
    if (after != *before) {
        replace_file(path, after, 0644);
    }
}

bool is_regular(const std::string& path)
{
    struct stat status {
    };
    return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

// journalctl looks in the folder of the machine id. journald writes into the files that it has open, and learns the id
// when it starts anew.
void rename_journals(const std::string& old, const std::string& fresh)
{
    for (const char* folder : {"/var/log/journal/", "/run/log/journal/"}) {
        const std::string from = folder + old;
        if (!old.empty() && exists(from) && ::rename(from.c_str(), (folder + fresh).c_str()) != 0) {
            fail("renaming " + from);
        }
    }
}

void set_machine_id(const std::string& id)
{
    const std::string line = id + "\n";
    rename_journals(without_line_end(read_file("/etc/machine-id").value_or("")), id);
    for (const char* path : {"/etc/machine-id", "/var/lib/dbus/machine-id", "/run/machine-id"}) {
        if (is_regular(path)) {
            replace_file(path, line, 0444);
        }
    }
}

// Only where the template's name was one that it got from the host; an image's own name stays.
void set_host_name(const std::string& old, const std::string& fresh)
{
    std::array<char, 256> now{};
    if (::gethostname(now.data(), now.size() - 1) == 0 && old == now.data() &&
        ::sethostname(fresh.data(), fresh.size()) != 0) {
        fail("setting the host name");
    }
    if (without_line_end(read_file("/etc/hostname").value_or("")) == old) {
        replace_file("/etc/hostname", fresh + "\n", 0644);
    }
    replace_in_file("/etc/hosts", old, fresh);
}

std::array<unsigned char, 6> parse_mac(const std::string& text)
{
    std::array<unsigned char, 6> mac{};
    for (std::size_t i = 0; i < mac.size(); ++i) {
        const char* begin = text.data() + std::min(3 * i, text.size());
        const char* end = text.data() + std::min(3 * i + 2, text.size());
        if (const auto parsed = std::from_chars(begin, end, mac[i], 16);
            parsed.ec != std::errc() || parsed.ptr != end) {
            throw Failure{"the host sent no MAC address"};
        }
    }
    return mac;
}

std::string find_card(const std::string& mac)
{
    for (const std::string& name : list(cards)) {
        if (without_line_end(read_file(cards + name + "/address").value_or("")) == mac) {
            return name;
        }
    }
    throw Failure{"there is no network card with the address " + mac};
}

// The driver tells QEMU, which then takes frames for the new address.
void set_mac(const std::string& old, const std::string& fresh)
{
    const std::string card = find_card(old);
    const auto mac = parse_mac(fresh);
    ifreq request{};
    std::memcpy(request.ifr_name, card.data(), std::min(card.size(), sizeof request.ifr_name - 1));
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::memcpy(request.ifr_hwaddr.sa_data, mac.data(), mac.size());
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool done = fd >= 0 && ::ioctl(fd, SIOCSIFHWADDR, &request) == 0;
    const int error = errno;
    ::close(fd);
    if (!done) {
        errno = error;
        fail("setting the address of " + card);
    }
}

// "0600 /etc/ssh/ssh_host_ed25519_key\n" and its content.
void write_sent_file(const std::string& value)
{
    const std::size_t space = value.find(' ');
    const std::size_t line = value.find('\n');
    if (space == std::string::npos || line == std::string::npos || space > line) {
        throw Failure{"the host sent a file without a name"};
    }
    replace_file(value.substr(space + 1, line - space - 1), value.substr(line + 1),
                 static_cast<mode_t>(std::strtoul(value.c_str(), nullptr, 8)));
}

// Each new key gets the options that stand before the old one, as cloud-init writes them for root.
bool replace_key_line(std::string& keys, const std::string& old, const std::string& fresh)
{
    const std::size_t at = old.empty() ? std::string::npos : keys.find(old);
    if (at == std::string::npos) {
        return false;
    }
    const std::size_t line = keys.rfind('\n', at) + 1; // npos + 1 is 0
    const std::string options = keys.substr(line, at - line);
    std::string lines;
    for (std::size_t begin = 0; begin < fresh.size();) {
        const std::size_t end = std::min(fresh.find('\n', begin), fresh.size());
        lines += (lines.empty() ? "" : "\n") + options + fresh.substr(begin, end - begin);
        begin = end + 1;
    }
    keys.replace(line, at - line + old.size(), lines);
    return true;
}

// Everybody's authorized_keys where the template's key is.
void replace_launch_key(const std::string& old, const std::string& fresh)
{
    const std::string users = read_file("/etc/passwd").value_or("");
    for (std::size_t begin = 0; begin < users.size();) {
        const std::size_t end = std::min(users.find('\n', begin), users.size());
        const std::string user = users.substr(begin, end - begin);
        begin = end + 1;
        const std::size_t shell = user.rfind(':');
        const std::size_t home = shell == std::string::npos || shell == 0 ? shell : user.rfind(':', shell - 1);
        if (home == std::string::npos) {
            continue;
        }
        const std::string path = user.substr(home + 1, shell - home - 1) + "/.ssh/authorized_keys";
        if (auto keys = read_file(path); keys && is_regular(path)) {
            if (replace_key_line(*keys, old, fresh)) {
                replace_file(path, *keys, 0600);
            }
        }
    }
}

// cloud-init's state is that of an instance by its id, which is as long as the old one: also in a pickled file its
// length is right.
void rename_cloud_instance(const std::string& old, const std::string& fresh)
{
    const std::string folder = "/var/lib/cloud/";
    if (!exists(folder + "instances/" + old)) { // it took another datasource than the host's
        return;
    }
    if (::rename((folder + "instances/" + old).c_str(), (folder + "instances/" + fresh).c_str()) != 0) {
        fail("renaming cloud-init's " + folder + "instances/" + old);
    }
    if (::unlink((folder + "instance").c_str()) != 0 ||
        ::symlink((folder + "instances/" + fresh).c_str(), (folder + "instance").c_str()) != 0) {
        fail("linking cloud-init's " + folder + "instance");
    }
    for (const char* file :
         {"/var/lib/cloud/data/instance-id", "/var/lib/cloud/instance/obj.pkl", "/run/cloud-init/.instance-id",
          "/run/cloud-init/instance-data.json", "/run/cloud-init/instance-data-sensitive.json"}) {
        replace_in_file(file, old, fresh);
    }
}

// As `cloud-init clean` does. Its next run finds the host keys that are there, and must not make others.
void forget_cloud_instance()
{
    for (const char* path : {"/var/lib/cloud/instance", "/var/lib/cloud/instances", "/var/lib/cloud/data",
                             "/var/lib/cloud/sem", "/run/cloud-init/sem", "/run/cloud-init/.instance-id",
                             "/run/cloud-init/instance-data.json", "/run/cloud-init/instance-data-sensitive.json",
                             "/run/cloud-init/status.json", "/run/cloud-init/result.json"}) {
        remove_recursively(path);
    }
    const std::string settings = "/run/cloud-init/cloud.cfg"; // cloud-init's own for this boot
    replace_file(settings, read_file(settings).value_or("") + "ssh_deletekeys: false\n", 0644);
}

} // namespace

// RNDADDENTROPY alone only feeds the pool: what /dev/urandom gives changes with the next reseed.
void reseed(const std::string& seed)
{
    struct {
        int bits = static_cast<int>(seed_bytes) * 8;
        int size = static_cast<int>(seed_bytes);
        std::array<char, seed_bytes> bytes{};
    } entropy; // struct rand_pool_info with its buffer
    if (seed.size() != seed_bytes) {
        throw Failure{"the host sent a seed of another length"};
    }
    std::memcpy(entropy.bytes.data(), seed.data(), seed_bytes);
    const int random = ::open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    if (random < 0 || ::ioctl(random, RNDADDENTROPY, &entropy) != 0 || ::ioctl(random, RNDRESEEDCRNG) != 0) {
        fail("reseeding the random generator");
    }
    ::close(random);
}

void set_clock(const std::string& seconds_and_nanoseconds)
{
    char* rest = nullptr;
    timespec now{};
    now.tv_sec = std::strtoll(seconds_and_nanoseconds.c_str(), &rest, 10);
    now.tv_nsec = std::strtol(rest, nullptr, 10);
    if (::clock_settime(CLOCK_REALTIME, &now) != 0) {
        fail("setting the clock");
    }
}

void take_identity(const launcher::CloneMessage& message)
{
    set_mac(value_of(message, "old-mac"), value_of(message, "mac"));
    if (const std::string* address = launcher::find_value(message, "address"); address != nullptr) {
        set_address(find_card(value_of(message, "mac")), *address);
    }
    set_machine_id(value_of(message, "machine-id"));
    set_host_name(value_of(message, "old-host-name"), value_of(message, "host-name"));
    for (const auto& [name, value] : message) {
        if (name == "file") {
            write_sent_file(value);
        }
    }
    replace_launch_key(value_of(message, "old-launch-key"), value_of(message, "launch-keys"));
    if (exists("/var/lib/systemd/random-seed")) {
        replace_file("/var/lib/systemd/random-seed", random_bytes(random_seed_bytes), 0600);
    }
    if (const std::string* what = launcher::find_value(message, "cloud-init"); what != nullptr && *what == "anew") {
        forget_cloud_instance();
    } else if (exists("/var/lib/cloud/instance")) {
        rename_cloud_instance(value_of(message, "old-instance-id"), value_of(message, "instance-id"));
    }
}

void rehearse()
{
    for (const char* path : {"/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostname", "/etc/hosts",
                             "/etc/passwd", "/root/.ssh/authorized_keys", "/var/lib/systemd/random-seed"}) {
        static_cast<void>(read_file(path));
    }
    for (const char* folder :
         {"/etc/ssh/", "/etc/kiln/clone.d/", "/var/lib/cloud/data/", "/var/lib/cloud/instance/", "/run/cloud-init/"}) {
        for (const std::string& name : list(folder)) {
            if (is_regular(folder + name)) {
                static_cast<void>(read_file(folder + name));
            }
        }
    }
    for (const std::string& name : list(cards)) {
        static_cast<void>(read_file(cards + name + "/address"));
    }
    static_cast<void>(random_bytes(1));
}

std::string json_string(const std::string& text)
{
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            quoted += '\\';
            quoted += c;
        } else {
            quoted += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
        }
    }
    return quoted + "\"";
}

std::string fresh_random()
{
    return hexadecimal(random_bytes(32));
}

std::string describe_identity(const std::string& mac, const std::string& random)
{
    std::array<char, 256> name{};
    static_cast<void>(::gethostname(name.data(), name.size() - 1));
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const std::string card = find_card(mac);
    return "\"machine_id\":" + json_string(without_line_end(read_file("/etc/machine-id").value_or(""))) +
           ",\"host_name\":" + json_string(name.data()) + ",\"mac\":" + json_string(mac) +
           ",\"card\":" + json_string(card) + ",\"address\":" + json_string(address_of(card)) +
           ",\"clock\":" + std::to_string(now.tv_sec * 1'000'000'000LL + now.tv_nsec) +
           ",\"random\":" + json_string(random);
}

} // namespace kiln::guest
