// SPDX-License-Identifier: Apache-2.0
// The virtual machine of a warm appliance, as QEMU's arguments. Saved and restored with the same devices but for the
// disks, which hang on the restored one's SCSI controller; the guest looks for them when it wakes.
#pragma once

#include "builder/appliance_drive.h"
#include "core/accelerator.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kiln::builder
{

struct WarmMachine {
    enum class Mode { save, restore };
    Mode mode = Mode::restore;
    std::filesystem::path qemu;   // the program
    std::filesystem::path folder; // of the template: kernel, initrd, root, ram
    Accelerator accelerator = Accelerator::tcg;
    int cpus = 2;
    int memory_mib = 1280;
    bool network = false;
    std::vector<ApplianceDrive> drives{}; // none in a machine to save
};

inline constexpr std::string_view warm_machine_type = "pc";

// What -cpu is given. Without ERMS Linux clears pages by words: TCG carries out `rep stosb` a byte at a time.
[[nodiscard]] std::string_view warm_cpu_model(Accelerator accelerator);

// argv for Mode::save and Mode::restore. "@append@" stands for the kernel's command line.
[[nodiscard]] std::vector<std::string> warm_machine_argv(const WarmMachine& machine);

// The wrapper's plan: the mode and argv, each ended by a NUL byte.
[[nodiscard]] std::string wrapper_plan(const WarmMachine& machine);

} // namespace kiln::builder
