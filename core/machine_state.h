// SPDX-License-Identifier: Apache-2.0
// The state of a virtual machine in a file, over QMP, where its memory is a file of its own: a memory-backend-file with
// share=on in the machine that is saved, share=off in those that are restored. QEMU gets the state as a descriptor, so
// that its sandbox may stay as it is.
#pragma once

#include "core/file_descriptor.h"
#include "core/qmp_client.h"

#include <chrono>
#include <filesystem>

namespace kiln
{

// Writes the devices' state to the new file (mode 0600); the guest stands still from then on. Throws Error{launch, io}.
void save_machine_state(QmpClient& qmp, const std::filesystem::path& file,
                        std::chrono::milliseconds limit = std::chrono::seconds(60));

// Opens what was saved. Throws Error{io, not_found}.
[[nodiscard]] FileDescriptor open_machine_state(const std::filesystem::path& file);

// Begins to load it into a machine that was started with `-incoming defer`. Throws Error{launch}.
void load_machine_state(QmpClient& qmp, const FileDescriptor& state);

// Returns when it is loaded; the guest stands still if QEMU was started with -S, else it runs. Throws Error{launch}.
void wait_until_loaded(QmpClient& qmp, std::chrono::milliseconds limit);

} // namespace kiln
