// SPDX-License-Identifier: Apache-2.0
// An instance's own disks as its launch makes them: empty overlays, or for a clone its template's, unpacked. They are
// the clone's, with no layer of the template's below: it is stopped, started, copied and ended as any other instance.
#pragma once

#include "launcher/instance.h"
#include "launcher/warm/template_choice.h"

#include <filesystem>
#include <stop_token>

namespace kiln::launcher
{

// Copies the disk to the new file `to` (mode 0600): a reflink where the file system has them. Nobody writes to it
// meanwhile. Throws Error{io, no_space}.
void copy_disk(const std::filesystem::path& from, const std::filesystem::path& to);

// Into `folder`, which is to be there, as disk0.qcow2 and so on; `choice`, where it is not null, may have a template
// with them. One whose disk is no overlay of that size is refused, and the choice is a cold launch then. Throws
// Error{launch, io, no_space, interrupted}.
void make_disks(const Instance& instance, const std::filesystem::path& folder, TemplateChoice* choice,
                const std::stop_token& stop);

// The same for an instance in its place that has to start cold: whatever was written to its disks is gone.
void make_disks_anew(const Instance& instance, const std::stop_token& stop);

} // namespace kiln::launcher
