// SPDX-License-Identifier: Apache-2.0
// Internal: an instance's tap in its VPC, on the network helper's side. Starts the VPC's holder where none runs. One
// thread.
#pragma once

#include "core/file_descriptor.h"
#include "core/paths.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kiln::launcher
{

class VpcLink
{
public:
    VpcLink(Paths paths, std::string vpc_id, std::string instance_id);

    // Throws Error{launch} with what keeps it, at the latest after 15 s.
    void attach();
    [[nodiscard]] bool attached() const noexcept { return static_cast<bool>(tap_); }
    // The holder has gone, and the tap with it.
    void detach() noexcept;

    [[nodiscard]] int tap() const noexcept { return tap_.get(); }
    [[nodiscard]] int control() const noexcept { return control_.get(); } // readable: the holder has gone

    // A frame that the VPC does not take now is lost.
    void send(std::span<const std::uint8_t> frame) const noexcept;
    // Up to `most` frames that came.
    void receive(int most, const std::function<void(std::span<std::uint8_t>)>& take) const;

private:
    bool try_attach();

    Paths paths_;
    std::string vpc_id_;
    std::string instance_id_;
    FileDescriptor control_;
    FileDescriptor tap_;
};

// How a program runs with the privileges of a user namespace of its own, and nobody's outside it.
[[nodiscard]] std::vector<std::string> in_user_namespace(std::vector<std::string> argv);

// Has the holders of running VPCs read groups and records again.
void reload_vpcs(const Paths& paths);

// Why this host can't have VPCs, or nullopt.
[[nodiscard]] std::optional<std::string> why_no_vpc();

} // namespace kiln::launcher
