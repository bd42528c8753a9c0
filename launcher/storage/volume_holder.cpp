// SPDX-License-Identifier: Apache-2.0
#include "launcher/storage/volume_holder.h"

#include "core/error.h"
#include "launcher/control.h"
#include "launcher/instance_store.h"
#include "launcher/life/life_lock.h"
#include "launcher/storage/volume_store.h"

#include <fmt/format.h>

namespace kiln::launcher
{
namespace
{

// As the record has it, also while a launch is at work; nullopt for an instance that is gone.
std::optional<std::string> instance_of(const Paths& paths, const VolumePaths& files)
{
    const std::optional<Attachment> attachment = load_volume(files).attachment;
    if (!attachment || !std::filesystem::exists(InstancePaths(paths, attachment->instance_id).record)) {
        return std::nullopt;
    }
    return attachment->instance_id;
}

} // namespace

HeldVolume::HeldVolume(const Paths& paths, const std::string& id, const std::stop_token& stop,
                       const std::optional<std::string>& to_be_attached_to)
    : paths_(paths)
{
    const VolumePaths files(paths, id);
    if (!std::filesystem::exists(files.record)) {
        throw Error(ErrorKind::not_found, fmt::format("there is no volume {}", id),
                    "`kiln volume list` shows what there is");
    }
    for (;;) {
        const std::optional<std::string> attached_to = instance_of(paths, files);
        const std::optional<std::string> wanted = attached_to ? attached_to : to_be_attached_to;
        try {
            life_.reset();
            if (wanted) {
                life_.emplace(lock_life(InstancePaths(paths, *wanted), stop));
            }
        } catch (const Error& error) {
            if (attached_to && error.kind() == ErrorKind::conflict && instance_of(paths, files) != attached_to) {
                continue; // the instance was terminated while we waited for it
            }
            throw;
        }
        volume_.emplace(lock_volume(files, stop));
        if (instance_of(paths, files) == attached_to) {
            if (wanted) {
                instance_ = settle(InstancePaths(paths, *wanted), *wanted);
            }
            return;
        }
        volume_.reset(); // somebody attached or detached it meanwhile
    }
}

bool HeldVolume::runs() const noexcept
{
    return instance_ && (instance_->state == InstanceState::running || instance_->state == InstanceState::stopping);
}

Json HeldVolume::ask(const Json& request, std::chrono::milliseconds limit, const std::stop_token& stop) const
{
    return ask_supervisor(paths_, instance_->id, request, limit, stop);
}

} // namespace kiln::launcher
