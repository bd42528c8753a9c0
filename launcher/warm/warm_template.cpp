// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/warm_template.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/file_digest.h"
#include "core/files.h"
#include "core/parallel.h"
#include "core/text.h"
#include "signing/base64.h"
#include "signing/dsse.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <numeric>
#include <sys/stat.h>
#include <unistd.h>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr int template_schema = 1;
constexpr const char* record_file = "template.json";
constexpr std::string_view payload_type = "application/vnd.kiln.warm-template.v1+json";
constexpr std::string_view record_what = "the record of a template";
constexpr ByteSize chunk = mebibytes(16);
constexpr ByteSize longest_record = mebibytes(1);
constexpr std::array<std::string_view, 3> key_types{"ed25519", "ecdsa", "rsa"};

bool is_template_id(std::string_view text)
{
    return text.size() == 24 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

[[noreturn]] void refuse_record(std::string_view complaint)
{
    throw Error(ErrorKind::untrusted, fmt::format("{}: {}", record_what, complaint));
}

Digest digest_member(const Json& json, std::string_view key)
{
    auto digest = Digest::parse(string_member(json, key, record_what));
    return digest ? *std::move(digest) : throw Error(ErrorKind::untrusted, "a template's file has no digest");
}

std::vector<WarmTemplate::File> files_from_json(const Json& json, std::size_t disks)
{
    const std::vector<std::string> known = template_files(disks);
    std::vector<WarmTemplate::File> files;
    for (const Json& file : json) {
        std::string name = string_member(file, "name", record_what);
        if (std::ranges::find(known, name) == known.end() ||
            std::ranges::find(files, name, &WarmTemplate::File::name) != files.end()) {
            refuse_record("it names a file that is none of a template's");
        }
        files.push_back({std::move(name),
                         ByteSize(static_cast<std::uint64_t>(integer_member(file, "size", record_what))),
                         digest_member(file, "digest")});
    }
    if (files.size() != known.size()) {
        refuse_record("it does not name all files");
    }
    return files;
}

// Unverified: for lists, and to find out which one fits.
std::string read_payload(const std::string& envelope)
{
    const auto bytes = signing::parse_base64(string_member(parse_json(envelope, record_what), "payload", record_what));
    return bytes ? *bytes : throw Error(ErrorKind::untrusted, "a template's record is not base64");
}

// Whether all of it is a hole, as the file system tells.
bool is_hole(int fd, std::uint64_t offset, std::uint64_t length)
{
    const off_t data = ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
    return (data < 0 && errno == ENXIO) || (data >= 0 && static_cast<std::uint64_t>(data) >= offset + length);
}

// Checks one file; adds what was read of it to `read`.
void verify_file(const fs::path& folder, const WarmTemplate::File& file, registry::VerificationRecord* record,
                 std::vector<registry::VerificationRecord::Entry>& read)
{
    const fs::path path = folder / file.name;
    const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", path.native()));
    }
    struct stat status {
    };
    if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != ::geteuid() ||
        (status.st_mode & 077) != 0) {
        throw Error(ErrorKind::untrusted, fmt::format("{} is not a file of this user's alone", path.native()));
    }
    const registry::FileState before = registry::file_state_of(fd.get());
    if (before.size != static_cast<std::int64_t>(file.size.bytes())) {
        throw Error(ErrorKind::untrusted,
                    fmt::format("{} has {} bytes instead of {}", path.native(), before.size, file.size.bytes()));
    }
    const bool trusted =
        record != nullptr && registry::keeps_change_times(fd.get()) && record->has(before, file.digest);
    if (trusted) {
        return;
    }
    if (digest_of_sparse_file(fd.get(), file.size, path.native()) != file.digest) {
        throw Error(ErrorKind::untrusted, fmt::format("{} has other content than its digest says", path.native()));
    }
    if (registry::file_state_of(fd.get()) == before && registry::keeps_change_times(fd.get())) {
        read.push_back({before, file.digest});
    }
}

} // namespace

ByteSize WarmTemplate::size() const
{
    return std::accumulate(files.begin(), files.end(), ByteSize(),
                           [](ByteSize sum, const File& file) { return sum + file.size; });
}

const Digest& WarmTemplate::digest_of(std::string_view file) const
{
    const auto found = std::ranges::find(files, file, &File::name);
    return found != files.end() ? found->digest : throw Error(ErrorKind::internal, "a template has no such file");
}

std::string template_disk_file(std::size_t disk)
{
    return fmt::format("disk{}.qcow2", disk);
}

std::vector<std::string> template_files(std::size_t disks)
{
    std::vector<std::string> files{template_memory_file, template_state_file};
    for (std::size_t i = 0; i < disks; ++i) {
        files.push_back(template_disk_file(i));
    }
    return files;
}

fs::path templates_folder(const Paths& paths)
{
    return paths.home / "warm";
}

Json to_json(const WarmTemplate& one)
{
    Json files = Json::array();
    for (const WarmTemplate::File& file : one.files) {
        files.push_back({{"name", file.name}, {"size", file.size.bytes()}, {"digest", file.digest.to_string()}});
    }
    return {{"schema", template_schema},
            {"template_id", one.id},
            {"shape", to_json(one.shape)},
            {"account_id", one.account},
            {"region", one.region},
            {"image_id", one.image_id},
            {"image_name", one.image_name},
            {"image_version", one.image_version},
            {"made", one.made},
            {"took_ms", one.took.count()},
            {"instance_id", one.instance_id},
            {"launch_key", one.launch_key},
            {"ready", one.ready},
            {"host_key_types", one.host_key_types},
            {"cloud_init", one.cloud_init},
            {"files", files}};
}

WarmTemplate template_from_json(const Json& json)
{
    if (integer_member(json, "schema", record_what) != template_schema) {
        throw Error(ErrorKind::io, "the template was made by another version of Kiln");
    }
    try {
        WarmTemplate one;
        one.id = string_member(json, "template_id", record_what);
        one.shape = shape_from_json(member(json, "shape", record_what));
        one.account = string_member(json, "account_id", record_what);
        one.region = string_member(json, "region", record_what);
        one.image_id = string_member(json, "image_id", record_what);
        one.image_name = string_member(json, "image_name", record_what);
        one.image_version = string_member(json, "image_version", record_what);
        one.made = string_member(json, "made", record_what);
        one.took = std::chrono::milliseconds(integer_member(json, "took_ms", record_what));
        one.instance_id = string_member(json, "instance_id", record_what);
        one.launch_key = string_member(json, "launch_key", record_what);
        one.ready = string_member(json, "ready", record_what);
        one.host_key_types = member(json, "host_key_types", record_what).get<std::vector<std::string>>();
        one.cloud_init = bool_member(json, "cloud_init", record_what);
        one.files = files_from_json(member(json, "files", record_what), one.shape.volumes.size());
        if (!is_template_id(one.id) || one.id != template_id_of(one.shape)) {
            refuse_record("its id is not that of its shape");
        }
        for (const std::string& type : one.host_key_types) {
            if (std::ranges::find(key_types, type) == key_types.end()) {
                refuse_record("it has a type of host keys that nobody knows");
            }
        }
        return one;
    } catch (const Json::exception& error) {
        throw Error(ErrorKind::io, fmt::format("{} is malformed: {}", record_what, error.what()));
    }
}

std::vector<WarmTemplate> list_templates(const Paths& paths)
{
    std::vector<WarmTemplate> found;
    std::error_code none;
    for (const fs::directory_entry& entry : fs::directory_iterator(templates_folder(paths), none)) {
        if (!is_template_id(entry.path().filename().native())) {
            continue; // one that is being made
        }
        try {
            const std::string envelope = read_file(entry.path() / record_file, longest_record);
            const Json json = parse_json(read_payload(envelope), record_what);
            found.push_back(template_from_json(json));
        } catch (const Error&) { // half removed, or nobody's
        }
    }
    std::ranges::sort(found, std::greater{}, &WarmTemplate::made);
    return found;
}

void write_template_record(const fs::path& folder, const WarmTemplate& one, const signing::SecretKey& key)
{
    write_file_durably(folder / record_file, signing::sign_envelope(payload_type, canonical_json(to_json(one)), key),
                       0600);
}

void remove_template(const Paths& paths, const std::string& id)
{
    if (!is_template_id(id)) {
        throw Error(ErrorKind::usage, fmt::format("\"{}\" is no template's id", printable(id, false)));
    }
    const fs::path folder = templates_folder(paths) / id;
    std::error_code gone;
    fs::remove(folder / record_file, gone); // without it nobody takes the rest for a template
    if (fs::exists(folder)) {
        sync_directory(folder);
        fs::remove_all(folder);
    }
}

Digest digest_of_sparse_file(int fd, ByteSize size, std::string_view what)
{
    const auto count = static_cast<std::size_t>((size.bytes() + chunk.bytes() - 1) / chunk.bytes());
    const Digest empty = digest_of(std::string(chunk.bytes(), '\0'));
    std::vector<std::string> parts(count);
    in_parallel(count, [&](std::size_t i) {
        const std::uint64_t offset = i * chunk.bytes();
        const std::uint64_t length = std::min(chunk.bytes(), size.bytes() - offset);
        const bool hole = length == chunk.bytes() && is_hole(fd, offset, length);
        parts[i] = (hole ? empty : digest_of_range(fd, offset, length, what)).hex();
    });
    return digest_of(canonical_json({{"size", size.bytes()}, {"chunk", chunk.bytes()}, {"sha256", parts}}));
}

WarmTemplate load_template(const Paths& paths, const std::string& id, const signing::TrustStore& trust,
                           const std::string& account)
{
    const std::string envelope = read_file(templates_folder(paths) / id / record_file, longest_record);
    const auto payload = signing::verify_envelope(envelope, payload_type, trust.keys_of(account));
    if (!payload) {
        refuse_record(fmt::format("it is not signed by a trusted key of account {}", account));
    }
    WarmTemplate one = template_from_json(parse_json(payload->payload, record_what));
    if (one.account != account || one.id != id) {
        refuse_record("it is of another account, or of another template");
    }
    return one;
}

VerifiedTemplate verify_template(const Paths& paths, const std::string& id, const signing::TrustStore& trust,
                                 const std::string& account, registry::VerificationRecord* record)
{
    const auto began = std::chrono::system_clock::now();
    WarmTemplate one = load_template(paths, id, trust, account);
    const fs::path folder = templates_folder(paths) / id;
    std::vector<registry::VerificationRecord::Entry> read;
    for (const WarmTemplate::File& file : one.files) {
        verify_file(folder, file, record, read);
    }
    if (record != nullptr) {
        record->note(read, began);
    }
    return {std::move(one), folder};
}

} // namespace kiln::launcher
