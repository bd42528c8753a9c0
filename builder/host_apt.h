// SPDX-License-Identifier: Apache-2.0
// The host's apt, at native speed, for a guest: it resolves against the guest's dpkg status and downloads
// from the guest's archives with the guest's keys, in a private root of its own below the cache. Neither the
// host's nor the guest's apt.conf is read, no guest's program runs, and as root all of it runs as the user
// _apt. Indexes and .deb files are kept for later builds.
#pragma once

#include "builder/apt_output.h"
#include "builder/apt_sources.h"
#include "core/byte_size.h"

#include <filesystem>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln
{
class FileLock;
}

namespace kiln::builder
{

// What decides the guest's choice of packages, copied out of it.
struct GuestApt {
    std::string status{};                             // of dpkg
    std::vector<std::string> architectures{};         // the native one first
    std::vector<AptSource> sources{};                 // `signed_by`: names of `keyrings`, or fingerprints
    std::map<std::string, std::string> keyrings{};    // file name -> content; for `signed_by`
    std::map<std::string, std::string> trusted{};     // the same; for sources without `signed_by`
    std::map<std::string, std::string> preferences{}; // pins
};

// A change that apt worked out, and the files for it, checked against the signed indexes.
struct AptTransaction {
    std::vector<AptAction> actions{};
    std::vector<AptDownload> downloads{};
};

class HostApt
{
public:
    // `cache` is made when it is missing. Waits until no other build uses it.
    HostApt(std::filesystem::path cache, const GuestApt& guest, std::filesystem::path log, std::stop_token stop);
    ~HostApt();
    HostApt(const HostApt&) = delete;
    HostApt& operator=(const HostApt&) = delete;

    // `wanted` as for `apt-get install`: "nginx", "nginx=1.22.1-9", "nano-". The files are put below `files`,
    // an existing folder on the cache's file system, under AptDownload::file. Throws Error{package, network,
    // no_space, interrupted}.
    [[nodiscard]] AptTransaction fetch(const std::vector<std::string>& wanted, const std::filesystem::path& files);

private:
    std::string apt_get(const std::vector<std::string>& arguments);
    void deliver(const std::vector<AptDownload>& downloads, const std::vector<std::string>& wanted,
                 const std::filesystem::path& files);

    std::filesystem::path cache_;
    std::filesystem::path root_; // of this guest's set of sources
    std::filesystem::path log_;
    std::stop_token stop_;
    std::unique_ptr<FileLock> lock_;
};

// The private root's apt.conf; pure, for its test. `root` and `archives` as apt sees them.
[[nodiscard]] std::string apt_configuration(const std::filesystem::path& root, const std::filesystem::path& archives,
                                            const std::vector<std::string>& architectures,
                                            std::string_view host_proxies);

// Printable, and with a line's end. A log that can't be written is no reason to fail.
void append_to_log(const std::filesystem::path& log, std::string_view text);

// Removes the files that were not used for longest until at most `most` is occupied.
void trim_folder(const std::filesystem::path& folder, ByteSize most);

} // namespace kiln::builder
