// SPDX-License-Identifier: Apache-2.0
#include "registry/upkeep/audit_file.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/files.h"
#include "core/timestamp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <string_view>
#include <sys/file.h>
#include <unistd.h>

namespace kiln::registry
{
namespace fs = std::filesystem;
namespace
{

void lock(int fd, const fs::path& file)
{
    while (::flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) {
            throw system_error(errno, fmt::format("locking {}", file.native()));
        }
    }
}

void write_all(int fd, std::string_view bytes, const fs::path& file)
{
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            throw system_error(errno, fmt::format("writing {}", file.native()));
        }
        bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
    }
}

std::string text_of(const Json& object, const char* key)
{
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

} // namespace

void append_action(const fs::path& region_folder, const LocalAction& action)
{
    const fs::path file = audit_file(region_folder);
    const bool is_new = !fs::exists(file);
    const FileDescriptor fd(::open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", file.native()));
    }
    lock(fd.get(), file);
    const off_t end = ::lseek(fd.get(), 0, SEEK_END);
    const bool cut =
        end > 0 && read_at(fd.get(), static_cast<std::uint64_t>(end) - 1, 1, "reading the audit log") != "\n";
    const Json line{{"time", iso_now()},
                    {"account", action.account.empty() ? Json() : Json(action.account)},
                    {"action", action.action},
                    {"image_id", action.image ? Json(*action.image) : Json()},
                    {"details", action.details}};
    write_all(fd.get(), (cut ? "\n" : "") + canonical_json(line) + "\n", file);
    if (::fsync(fd.get()) != 0) {
        throw system_error(errno, fmt::format("syncing {}", file.native()));
    }
    if (is_new) {
        sync_directory(region_folder);
    }
}

std::vector<AuditEntry> read_actions(const fs::path& region_folder)
{
    std::vector<AuditEntry> entries;
    std::ifstream file(audit_file(region_folder));
    for (std::string line; std::getline(file, line);) {
        try {
            const Json json = parse_json(line, "audit.jsonl");
            if (!json.is_object() || !is_iso_time(text_of(json, "time"))) {
                continue;
            }
            AuditEntry entry{.time = text_of(json, "time"),
                             .number = std::nullopt,
                             .account = text_of(json, "account"),
                             .action = text_of(json, "action"),
                             .image = std::nullopt,
                             .details = json.value("details", Json::object())};
            if (const std::string image = text_of(json, "image_id"); !image.empty()) {
                entry.image = image;
            }
            entries.push_back(std::move(entry));
        } catch (const Error&) { // of a writer that was killed
        }
    }
    return entries;
}

} // namespace kiln::registry
