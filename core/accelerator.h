// SPDX-License-Identifier: Apache-2.0
// Which QEMU accelerator works here. /dev/kvm can open and yet not boot a kernel, so the verdict
// comes from booting one; it is cached by host boot, kernel, QEMU version and CPU.
#pragma once

#include "core/paths.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace kiln
{

enum class Accelerator { kvm, tcg };
[[nodiscard]] std::string_view name_of(Accelerator accelerator) noexcept;
[[nodiscard]] std::optional<Accelerator> parse_accelerator(std::string_view text);

struct AcceleratorVerdict {
    Accelerator accelerator = Accelerator::tcg;
    std::string reason{};    // one sentence: what was seen
    bool overridden = false; // by KILN_ACCELERATOR
    bool cached = false;
    std::chrono::milliseconds took{0}; // of the probe, also when it is cached
};

// The verdict for this host: KILN_ACCELERATOR (kvm, tcg) decides when set, else the cache, else a
// probe (about a second, 20 at most). Throws Error{missing_tool} without QEMU or a kernel to boot,
// Error{usage} for another value of the variable, Error{interrupted}.
[[nodiscard]] AcceleratorVerdict find_accelerator(const Paths& paths, const std::stop_token& stop,
                                                  bool probe_anew = false);

// The newest kernel below /boot that this user can read; libguestfs boots the same one.
[[nodiscard]] std::optional<std::filesystem::path> find_kernel();

} // namespace kiln
