// SPDX-License-Identifier: Apache-2.0
// Internal: a volume that nobody else changes, nor the life of the instance that it is attached to.
#pragma once

#include "core/files.h"
#include "core/json.h"
#include "core/paths.h"
#include "launcher/storage/volume.h"

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

namespace kiln::launcher
{

class HeldVolume
{
public:
    // Waits for other commands, first for those on the instance. `to_be_attached_to`: that instance instead, when the
    // volume is attached to none. Throws Error{conflict, not_found, interrupted}.
    HeldVolume(const Paths& paths, const std::string& id, const std::stop_token& stop,
               const std::optional<std::string>& to_be_attached_to = {});

    // The instance, settled; nullopt when there is none.
    [[nodiscard]] const std::optional<Instance>& instance() const noexcept { return instance_; }
    // Whether its guest runs.
    [[nodiscard]] bool runs() const noexcept;
    // Asks its supervisor.
    [[nodiscard]] Json ask(const Json& request, std::chrono::milliseconds limit, const std::stop_token& stop) const;

private:
    const Paths& paths_;
    std::optional<FileLock> life_;
    std::optional<FileLock> volume_;
    std::optional<Instance> instance_;
};

} // namespace kiln::launcher
