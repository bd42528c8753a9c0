// SPDX-License-Identifier: Apache-2.0
#include "launcher/warm/warm_template.h"

#include "core/error.h"
#include "core/file_descriptor.h"
#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>

namespace kiln::launcher
{
namespace fs = std::filesystem;
namespace
{

constexpr int template_schema = 2;
constexpr std::string_view record_what = "the description of a template";
constexpr std::array<std::string_view, 3> key_types{"ed25519", "ecdsa", "rsa"};
constexpr ByteSize tables = mebibytes(32);       // of an overlay, where its disk is small
constexpr ByteSize largest_state = gibibytes(1); // of all devices; they take less than a mebibyte each

[[noreturn]] void refuse_record(std::string_view complaint)
{
    throw Error(ErrorKind::untrusted, fmt::format("{}: {}", record_what, complaint));
}

// Just those that a template of this shape has, in their order.
std::vector<WarmTemplate::File> files_from_json(const Json& json, const TemplateShape& shape)
{
    std::vector<WarmTemplate::File> files;
    for (const Json& file : json) {
        files.push_back({string_member(file, "name", record_what),
                         ByteSize(static_cast<std::uint64_t>(integer_member(file, "size", record_what)))});
    }
    if (!std::ranges::equal(files, template_files(shape.volumes.size()), {}, &WarmTemplate::File::name)) {
        refuse_record("it does not name a template's files");
    }
    bool possible = files[0].size == shape.memory && files[1].size <= largest_state;
    for (std::size_t i = 0; i < shape.volumes.size();
         ++i) { // with its tables, an overlay takes little more than a disk
        possible = possible && files[2 + i].size.bytes() / 2 <= shape.volumes[i].second.bytes() + tables.bytes();
    }
    if (!possible) {
        refuse_record("a file of it has a size that it can't have");
    }
    return files;
}

void add_templates(std::vector<StoredTemplate>& templates, const bundle::Layout& layout, const Digest& image,
                   const signing::TrustStore& trust, const std::string& account, std::vector<std::string>& faults)
{
    for (registry::Artifact& artifact :
         registry::find_artifacts(layout, image, bundle::template_artifact_type, trust.keys_of(account), faults)) {
        try {
            WarmTemplate one = template_from_json(artifact.description);
            if (one.account != account || one.shape.image_manifest != image.to_string() ||
                one.files.size() != artifact.files.size()) {
                refuse_record("it is of another account, or another AMI");
            }
            templates.push_back({std::move(one), std::move(artifact)});
        } catch (const Error& error) {
            faults.emplace_back(error.message());
        }
    }
}

} // namespace

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

std::string packed_name(std::string_view file)
{
    return fmt::format("{}.zst", file);
}

Json to_json(const WarmTemplate& one)
{
    Json files = Json::array();
    for (const WarmTemplate::File& file : one.files) {
        files.push_back({{"name", file.name}, {"size", file.size.bytes()}});
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
        one.files = files_from_json(member(json, "files", record_what), one.shape);
        if (one.id != template_id_of(one.shape)) {
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

std::vector<StoredTemplate> find_templates(const bundle::Layout& layout, const Digest& image,
                                           const signing::TrustStore& trust, const std::vector<std::string>& accounts,
                                           std::vector<std::string>& faults)
{
    std::vector<StoredTemplate> templates;
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        if (std::find(accounts.begin(), accounts.begin() + static_cast<std::ptrdiff_t>(i), accounts[i]) ==
            accounts.begin() + static_cast<std::ptrdiff_t>(i)) {
            add_templates(templates, layout, image, trust, accounts[i], faults);
        }
    }
    std::ranges::stable_sort(templates, std::greater{}, [](const StoredTemplate& one) { return one.description.made; });
    return templates;
}

std::size_t VerifiedTemplate::index_of(std::string_view file) const
{
    const auto found = std::ranges::find(description_.files, file, &WarmTemplate::File::name);
    return found != description_.files.end() ? static_cast<std::size_t>(found - description_.files.begin())
                                             : throw Error(ErrorKind::internal, "a template has no such file");
}

std::string VerifiedTemplate::name_of(std::string_view file) const
{
    return files_[index_of(file)].filename();
}

ByteSize VerifiedTemplate::size_of(std::string_view file) const
{
    return description_.files[index_of(file)].size;
}

FileDescriptor VerifiedTemplate::open(std::string_view file) const
{
    const fs::path& path = files_[index_of(file)];
    FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) {
        throw system_error(errno, fmt::format("opening {}", path.native()));
    }
    return fd;
}

VerifiedTemplate verify_template(const bundle::Layout& layout, const StoredTemplate& stored,
                                 registry::VerificationRecord* record)
{
    return {stored.description, registry::verified_files(layout, stored.artifact, record)};
}

Json to_json(const VerifiedTemplate& verified)
{
    Json files = Json::array();
    for (const fs::path& file : verified.files_) {
        files.push_back(file.native());
    }
    return {{"template", to_json(verified.description_)}, {"files", files}};
}

VerifiedTemplate recorded_template(const Json& json)
{
    WarmTemplate one = template_from_json(member(json, "template", record_what));
    std::vector<fs::path> files;
    for (const Json& file : member(json, "files", record_what)) {
        files.emplace_back(file.is_string() ? file.get<std::string>() : "");
    }
    if (files.size() != one.files.size()) {
        throw Error(ErrorKind::io, "the record of an instance's template does not name its files");
    }
    return {std::move(one), std::move(files)};
}

} // namespace kiln::launcher
