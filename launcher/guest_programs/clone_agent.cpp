// SPDX-License-Identifier: Apache-2.0
// kiln-clone-agent: the one program that runs while a guest becomes the template of warm launches, and again in each
// clone of it before anything else does. Static; it is put into the guest through the guest agent, as a file below
// /run.
//
// Through the port (launcher/warm/clone_message.h) the host sends "freeze": all other processes stand still. The
// machine is saved at that point. A clone goes on here, with the host's next message, "identity": reseeded and named
// anew, it lets the others go on. The machine that was saved goes on as what it was, with the message "thaw". Each
// answer is a line of JSON.
#include "launcher/guest_programs/freezer.h"
#include "launcher/guest_programs/guest_system.h"
#include "launcher/guest_programs/identity.h"
#include "launcher/warm/clone_message.h"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace
{

using namespace kiln::guest;
using kiln::launcher::CloneMessage;

const std::string ports = "/sys/class/virtio-ports/";
const std::string hooks = "/etc/kiln/clone.d/";
const std::string run_folder = "/run/kiln"; // a file system of its own, as /run runs no programs
constexpr int hook_seconds = 60;
constexpr int cloud_init_seconds = 3600;

int open_port()
{
    for (const std::string& name : list(ports)) {
        if (read_file(ports + name + "/name").value_or("") == std::string(kiln::launcher::clone_port) + "\n") {
            const int port = ::open(("/dev/" + name).c_str(), O_RDWR | O_CLOEXEC);
            if (port < 0) {
                fail("opening /dev/" + name);
            }
            return port;
        }
    }
    throw Failure{"there is no port to the host"};
}

void answer(int port, const std::string& line)
{
    const std::string bytes = line + "\n";
    for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t written = ::write(port, bytes.data() + done, bytes.size() - done);
        if (written < 0 && errno != EINTR) {
            ::_exit(1); // nobody is there to be told
        }
        done += written > 0 ? static_cast<std::size_t>(written) : 0;
    }
}

// A read of 0 bytes: the host is not connected, as for a moment when a clone begins.
CloneMessage receive(int port, std::string& bytes)
{
    constexpr timespec pause{0, 1'000'000};
    for (;;) {
        bool bad = false;
        if (auto message = kiln::launcher::decode(bytes, bad)) {
            bytes.clear();
            return *message;
        }
        if (bad) {
            throw Failure{"the host sent something that is no message"};
        }
        char buffer[4096];
        const ssize_t got = ::read(port, buffer, sizeof buffer);
        if (got > 0) {
            bytes.append(buffer, static_cast<std::size_t>(got));
        } else {
            (void)::nanosleep(&pause, nullptr);
        }
    }
}

void run_hooks(const std::string& moment, const std::string& instance_id)
{
    for (const std::string& name : list(hooks)) {
        const std::string path = hooks + name;
        if (::access(path.c_str(), X_OK) != 0) {
            continue;
        }
        const auto status = run({path, moment}, instance_id, hook_seconds);
        if (status != 0) {
            std::string what = path;
            what.append(" ").append(moment);
            what += status ? " ended with status " + std::to_string(*status) : " did not end in time";
            throw Failure{what};
        }
    }
}

// Whoever waits for the instance waits for this file.
void run_cloud_init(const std::string& instance_id)
{
    const auto status = run({"/usr/bin/systemctl", "restart", "cloud-init-local.service", "cloud-init.service",
                             "cloud-config.service", "cloud-final.service"},
                            instance_id, cloud_init_seconds);
    replace_file(run_folder + "/cloud-init", status ? std::to_string(*status) + "\n" : "timed out\n", 0644);
}

std::string host_key_types()
{
    std::string types;
    for (const char* type : {"ed25519", "ecdsa", "rsa"}) {
        if (exists(std::string("/etc/ssh/ssh_host_") + type + "_key")) {
            types += (types.empty() ? "" : ",") + json_string(type);
        }
    }
    return types;
}

std::string required(const CloneMessage& message, const char* name)
{
    const std::string* value = kiln::launcher::find_value(message, name);
    return value != nullptr ? *value : throw Failure{std::string("the host sent no ") + name};
}

// Where this machine goes on as what it was. The program's file is there until it has ended.
void leave_no_trace()
{
    ::umount2(run_folder.c_str(), MNT_DETACH);
    ::rmdir(run_folder.c_str());
}

void go_on(int port, const CloneMessage& message, Freezer& freezer)
{
    set_clock(required(message, "time")); // it stood still while the machine did
    freezer.thaw();
    freezer.leave();
    leave_no_trace();
    answer(port, R"({"answer":"thawed"})");
}

void become_clone(int port, const CloneMessage& message, Freezer& freezer)
{
    reseed(required(message, "seed"));
    set_clock(required(message, "time"));
    const std::string instance_id = required(message, "instance-id");
    const std::string random = fresh_random();
    take_identity(message);
    run_hooks("frozen", instance_id);
    ::sync(); // a clone that loses its power now must not come back with the template's identity
    freezer.thaw();
    run_hooks("thawed", instance_id);
    answer(port, R"({"answer":"done",)" + describe_identity(required(message, "mac"), random) + "}");
    // What it says goes to the console; the clone is one also without.
    static_cast<void>(run({"/usr/bin/systemctl", "restart", "systemd-journald.service"}, instance_id, hook_seconds));
    const std::string* cloud_init = kiln::launcher::find_value(message, "cloud-init");
    if (cloud_init != nullptr && *cloud_init == "anew") {
        run_cloud_init(instance_id);
    }
    freezer.leave();
}

void serve(int port)
{
    std::string bytes;
    Freezer freezer;
    if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        fail("keeping itself in memory");
    }
    answer(port, R"({"answer":"ready","host_key_types":[)" + host_key_types() + R"(],"cloud_init":)" +
                     (exists("/var/lib/cloud/instance") ? "true" : "false") + "}");
    if (kiln::launcher::find_value(receive(port, bytes), "freeze") == nullptr) {
        throw Failure{"the host asked for something else than to freeze"};
    }
    ::sync();
    freezer.freeze();
    rehearse();
    ::sync();
    answer(port, R"({"answer":"frozen","groups":)" + std::to_string(freezer.groups()) + "}");
    try { // from here on in the machine that was saved, and in each clone
        const CloneMessage message = receive(port, bytes);
        const bool same = kiln::launcher::find_value(message, "thaw") != nullptr;
        same ? go_on(port, message, freezer) : become_clone(port, message, freezer);
    } catch (...) {
        freezer.thaw();
        throw;
    }
}

// The guest agent waits for the end of what it started, and of its output.
void detach()
{
    ::setsid();
    const int null = ::open("/dev/null", O_RDWR);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        ::dup2(null, fd);
    }
    if (null > STDERR_FILENO) {
        ::close(null);
    }
}

} // namespace

int main()
{
    static_cast<void>(::signal(SIGHUP, SIG_IGN));
    static_cast<void>(::signal(SIGPIPE, SIG_IGN));
    ::umask(0022);
    int port = -1;
    try {
        port = open_port();
        if (::fork() != 0) { // whoever started it is to go on
            return 0;
        }
        detach();
        serve(port);
        return 0;
    } catch (const Failure& failure) {
        leave_no_trace();
        if (port >= 0) {
            answer(port, R"({"answer":"failed","reason":)" + json_string(failure.message) + "}");
        }
        return 1;
    }
}
