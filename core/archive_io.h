// SPDX-License-Identifier: Apache-2.0
// The owner of libarchive for archives from outside: reads them member by member, each one checked before it is
// handed out, and writes tars of nothing but what was checked. Nothing is unpacked here.
#pragma once

#include "core/member_rules.h"
#include "core/safe_tar.h"

#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct archive;
struct archive_entry;

namespace kiln
{

// All that comes through of a member.
struct Member {
    MemberKind kind = MemberKind::file;
    std::string name{};   // plain: no "." or "//"
    std::string target{}; // of a link
    std::uint64_t size = 0;
    std::uint32_t mode = 0755; // permissions and the bits above them
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::time_t time = 0;
    std::string capability{};                   // the attribute security.capability; empty: none
    std::vector<std::string> missing_folders{}; // above it, which no member has named yet, outermost first
};

// A tar (pax, uncompressed) on a descriptor, which stays the caller's. Throws Error{io, no_space}.
class TarFile
{
public:
    explicit TarFile(int fd);
    ~TarFile();
    TarFile(const TarFile&) = delete;
    TarFile& operator=(const TarFile&) = delete;

    // Of a file, write() must follow with as many bytes as it has.
    void add(const Member& member);
    void add_folder(const std::string& name, const Member& like); // with the owner and time of `like`
    void write(const void* bytes, std::size_t length);
    void close();

private:
    struct State;
    std::unique_ptr<State> state_;
};

// An archive (tar and its compressions, zip) on a descriptor, which stays the caller's. Throws Error{untrusted} that
// names the member, for what write_safe_tar() refuses.
class CheckedArchive
{
public:
    CheckedArchive(int fd, const SafeTarOptions& options);
    ~CheckedArchive();
    CheckedArchive(const CheckedArchive&) = delete;
    CheckedArchive& operator=(const CheckedArchive&) = delete;

    // nullopt at the end. A device comes through only with SafeTarOptions::whole_system.
    [[nodiscard]] std::optional<Member> next();
    // The content of the file that next() returned last, just once, in order and with holes as zeroes. What `take` gets
    // is valid during the call.
    void copy_content(const std::function<void(std::string_view)>& take);
    void copy_content(TarFile& to);
    // What the members so far say that they hold.
    [[nodiscard]] ByteSize content() const noexcept { return ByteSize(content_); }

private:
    struct State;
    [[nodiscard]] std::optional<Member> check(archive_entry* entry);
    [[nodiscard]] std::uint64_t claim_content(archive_entry* entry);
    void copy_blocks(const std::function<void(std::string_view)>& take);

    SafeTarOptions options_;
    std::unique_ptr<State> state_;
    MemberRules rules_;
    std::string name_; // of the current member, as it is written
    std::uint64_t size_ = 0;
    std::uint64_t content_ = 0;
    std::uint64_t members_ = 0;
};

} // namespace kiln
