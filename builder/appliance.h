// SPDX-License-Identifier: Apache-2.0
// The one owner of libguestfs: a small virtual machine that opens untrusted disks, so that the host
// never does. Paths are the guest's, absolute. One thread.
#pragma once

#include "builder/appliance_drive.h"
#include "core/accelerator.h"
#include "core/byte_size.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

struct ApplianceOptions {
    Accelerator accelerator = Accelerator::tcg;
    bool network = false;              // for `run` steps that ask for it
    std::filesystem::path temporary{}; // a folder for libguestfs's own files
    // Where saved appliances are kept, on the file system of `temporary`; empty: a stock launch.
    std::filesystem::path warm{};
};

class Appliance
{
public:
    // Launches it from a saved one (under a second; the first time makes that, which takes as long as a stock launch),
    // or the stock way when that fails (seconds under KVM, about 20 s under TCG). A stop request kills it; the call
    // that then fails throws Error{interrupted}. Throws Error{missing_tool} when it can't be launched.
    Appliance(const ApplianceOptions& options, const std::vector<ApplianceDrive>& drives, const std::stop_token& stop);
    ~Appliance();
    Appliance(const Appliance&) = delete;
    Appliance& operator=(const Appliance&) = delete;

    // Why it was launched the stock way though options.warm was given; empty when it was not.
    [[nodiscard]] const std::string& stock_reason() const noexcept;
    [[nodiscard]] bool started_warm() const noexcept;

    // All below throw Error{step_failed} with libguestfs's words, or {interrupted}.
    void make_gpt(const std::string& device);
    void add_partition(const std::string& device, std::uint64_t first_sector, std::uint64_t last_sector,
                       const std::string& gpt_type);
    void mount(const std::string& device, const std::string& mount_point);
    void unmount_all();                                                 // and flushes everything to the disks
    void write_file(const std::string& path, std::string_view content); // creates or replaces it
    [[nodiscard]] std::string read_file(const std::string& path);       // at most 16 MiB
    void set_mode(const std::string& path, std::uint32_t mode);
    void make_directories(const std::string& path);
    [[nodiscard]] bool exists(const std::string& path);
    [[nodiscard]] bool is_file(const std::string& path); // false for a symbolic link
    [[nodiscard]] std::vector<std::string> glob(const std::string& pattern);
    void remove_recursively(const std::string& path);
    void truncate(const std::string& path);
    // What is in an uncompressed tar on the host, below a folder of the guest's, with its owners and modes. The
    // caller vouches for the members' names.
    void unpack_tar(const std::filesystem::path& tar, const std::string& folder);
    // Runs argv in the guest's root; returns its standard output.
    std::string run(const std::vector<std::string>& argv);

    // The device of a drive (0 is the first one given) as a program run in the guest sees it. The
    // kernel names disks in the order in which it finds them, and libguestfs's own disk is among
    // them; only libguestfs's calls translate "/dev/sda".
    [[nodiscard]] std::string device_in_guest(std::size_t drive);

    // Makes the free blocks of a mounted file system zeroes, each to its last byte: what was there is gone.
    void trim(const std::string& mount_point);
    // Unmounts, syncs and powers off; throws when that fails, so that a half-written disk is noticed.
    void shutdown();

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace kiln::builder
