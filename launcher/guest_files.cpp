// SPDX-License-Identifier: Apache-2.0
#include "launcher/guest_files.h"

#include "core/error.h"
#include "core/interrupt.h"
#include "core/random.h"
#include "core/text.h"
#include "launcher/control.h"
#include "launcher/guest.h"
#include "signing/base64.h"

#include <fmt/format.h>

#include <cerrno>
#include <unistd.h>

namespace kiln::launcher
{
namespace
{

constexpr std::size_t chunk = std::size_t{1} << 20U;
constexpr std::chrono::seconds answer_limit{90};
constexpr std::chrono::seconds command_limit{60};
constexpr std::string_view what = "the guest agent's answer";

// A file that is open in the guest. The agent keeps it open until somebody closes it.
class GuestFile
{
public:
    GuestFile(const Paths& paths, std::string id, const std::string& path, const char* mode)
        : paths_(paths), id_(std::move(id))
    {
        const Json handle = ask("guest-file-open", {{"path", path}, {"mode", mode}});
        if (!handle.is_number_integer()) {
            throw Error(ErrorKind::launch, "the guest agent opened a file and gave no handle");
        }
        handle_ = handle.get<std::int64_t>();
    }
    GuestFile(const GuestFile&) = delete;
    GuestFile& operator=(const GuestFile&) = delete;
    ~GuestFile()
    {
        try {
            close();
        } catch (const Error&) { // the guest has gone
        }
    }
    void close()
    {
        if (std::exchange(open_, false)) {
            static_cast<void>(ask("guest-file-close", {{"handle", handle_}}));
        }
    }
    // Empty at the end.
    [[nodiscard]] std::string read() const
    {
        const Json answer = ask("guest-file-read", {{"handle", handle_}, {"count", chunk}});
        const auto bytes = signing::parse_base64(string_member(answer, "buf-b64", what));
        if (!bytes || bytes->size() > chunk) {
            throw Error(ErrorKind::launch, "the guest agent sent something that was not asked for");
        }
        return *bytes;
    }
    void write(std::string_view bytes) const
    {
        while (!bytes.empty()) {
            const Json answer = ask("guest-file-write", {{"handle", handle_}, {"buf-b64", signing::base64(bytes)}});
            const std::int64_t count = integer_member(answer, "count", what);
            if (count <= 0 || static_cast<std::size_t>(count) > bytes.size()) {
                throw Error(ErrorKind::launch, "the guest took no bytes; its disk may be full");
            }
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
    }

private:
    [[nodiscard]] Json ask(const char* command, const Json& arguments) const
    {
        return ask_supervisor(paths_, id_, {{"request", "guest-file"}, {"command", command}, {"arguments", arguments}},
                              answer_limit, {});
    }

    const Paths& paths_;
    std::string id_;
    std::int64_t handle_ = 0;
    bool open_ = true;
};

void write_all(int fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            throw system_error(errno, "writing the copy");
        }
        bytes.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
}

void run_in_guest(const Paths& paths, const Instance& instance, const std::vector<std::string>& argv,
                  const std::stop_token& stop)
{
    const ExecResult result = exec(paths, instance, argv, {}, command_limit, stop);
    if (result.status != 0) {
        throw Error(ErrorKind::launch, fmt::format("in the guest, {} failed: {}", argv.at(0),
                                                   tail_in_one_line(result.errors + result.output, 2)));
    }
}

} // namespace

std::uint64_t copy_from_guest(const Paths& paths, const Instance& instance, const std::string& path, int to,
                              const std::stop_token& stop)
{
    GuestFile file(paths, instance.id, path, "r");
    std::uint64_t total = 0;
    for (;;) {
        throw_if_interrupted(stop);
        const std::string bytes = file.read();
        if (bytes.empty()) {
            return total;
        }
        write_all(to, bytes);
        total += bytes.size();
    }
}

std::uint64_t copy_to_guest(const Paths& paths, const Instance& instance, int from, const std::string& path,
                            mode_t mode, const std::stop_token& stop)
{
    const std::string temporary = fmt::format("{}.{}.kiln", path, random_hex(8));
    std::uint64_t total = 0;
    GuestFile file(paths, instance.id, temporary, "w");
    try {
        std::string buffer(chunk, '\0');
        for (;;) {
            throw_if_interrupted(stop);
            const ssize_t got = ::read(from, buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got < 0) {
                throw system_error(errno, "reading what is to be copied");
            }
            if (got == 0) {
                break;
            }
            file.write(std::string_view(buffer).substr(0, static_cast<std::size_t>(got)));
            total += static_cast<std::size_t>(got);
        }
        file.close();
        run_in_guest(paths, instance, {"chmod", fmt::format("{:o}", mode & 0777U), temporary}, stop);
        run_in_guest(paths, instance, {"mv", "-fT", temporary, path}, stop);
    } catch (...) {
        try {
            run_in_guest(paths, instance, {"rm", "-f", temporary}, {});
        } catch (const Error&) { // the guest has gone
        }
        throw;
    }
    return total;
}

} // namespace kiln::launcher
